// Who owns what in the CA directory. The daemon is root and reads and writes all of it, so it
// wouldn't notice that stock Puppet Server, which runs as puppet, couldn't: a key that somebody
// restored as root keeps it from starting, and that must not be found out when the CA has ended.
// Danger: puppet may put a link there, so none is followed.

import { lchown, lstat, realpath } from "node:fs/promises";
import { isMissing } from "../host/files.ts";
import { type CaLayout, caLayout } from "./layout.ts";

/**
 * Gives the folders and the main files of `layout` to `owner` where somebody else has them. What is
 * in signed/ and requests/ stock only reads, and the root's key it doesn't. Returns what was given.
 */
export async function keepOwner(
  layout: CaLayout,
  { uid, gid }: { uid: number; gid: number },
): Promise<string[]> {
  // Where Puppet had its CA before, the folder is a link to where it is now.
  const real = await realpath(layout.folder).catch(() => layout.folder);
  const { folder, signed, requests, ...files } = caLayout(real);
  const { key, publicKey, bundle, crl, serial, inventory } = files;
  const given: string[] = [];
  for (const path of [folder, signed, requests, key, publicKey, bundle, crl, serial, inventory]) {
    try {
      const there = await lstat(path);
      if (there.uid === uid || there.isSymbolicLink()) continue;
      await lchown(path, uid, gid);
      given.push(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return given;
}
