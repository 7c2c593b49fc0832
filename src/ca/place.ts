// A CA directory that comes to its place whole or not at all: written beside it, looked at,
// renamed.

import { readdir, realpath, rename, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { exists, syncFolder } from "../host/files.ts";
import { partialFault, readAuthority, type DiskAuthority } from "./directory-state.ts";
import { caLayout, type CaLayout } from "./layout.ts";

/** The CA directory behind the symbolic link that Puppet's old place often is. */
export async function resolveFolder(cadir: string): Promise<string> {
  return (await exists(cadir)) ? realpath(cadir) : cadir;
}

/** Whether two paths lead to one folder, there or not. */
export async function isSameFolder(a: string, b: string): Promise<boolean> {
  return (await resolveFolder(a)) === (await resolveFolder(b));
}

/**
 * Has `write` fill a folder beside `folder`, and puts it there once it holds a whole authority.
 * `makeRoom` runs right before: by default what is there must be empty. Throws Fault
 * `ca.directory-partial`.
 */
export async function placeAuthority(
  folder: string,
  write: (fresh: CaLayout) => Promise<void>,
  makeRoom: () => Promise<void> = async () => removeEmpty(folder),
): Promise<DiskAuthority> {
  const fresh = join(dirname(folder), `.${basename(folder)}.understudy-new`);
  // One that was killed may have left it.
  await rm(fresh, { recursive: true, force: true });
  try {
    await write(caLayout(fresh));
    const made = await readAuthority(fresh);
    if (made.state !== "complete") throw partialFault(fresh, [JSON.stringify(made)]);
    await makeRoom();
    await rename(fresh, folder);
    await syncFolder(dirname(folder));
    return made;
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    throw error;
  }
}

/** Makes way for the rename: an empty folder with empty folders in it, as packages leave them. */
export async function removeEmpty(folder: string): Promise<void> {
  if (!(await exists(folder))) return;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await rmdir(join(folder, entry.name));
  }
}
