// Reads a backup through and judges it, before anything is made of it: it opens, it is whole, and
// its main files are one authority.

import type { FileHandle } from "node:fs/promises";
import { Fault } from "../../base/fault.ts";
import { judgeAuthority, type DiskAuthority } from "../directory-state.ts";
import { caLayout } from "../layout.ts";
import { unpack, type ArchiveFile } from "./archive.ts";
import type { Manifest } from "./manifest.ts";
import { damagedFault, unlock } from "./seal.ts";

/** A backup that was read through. */
export interface Checked {
  manifest: Manifest;
  authority: DiskAuthority;
  /** Its files once more, from the same open file. */
  files(): AsyncGenerator<ArchiveFile>;
}

/**
 * Checks the backup in `file`. Throws Fault `ca.backup-format`, `ca.backup-passphrase`,
 * `ca.backup-damaged`.
 */
export async function checkBackup(file: FileHandle, passphrase: string): Promise<Checked> {
  const unlocked = await unlock(file, passphrase);
  const main = new Map<string, Buffer>();
  const counts = { signed: 0, requests: 0 };
  let manifest: Manifest | undefined;
  for await (const part of unpack(unlocked.read())) {
    if ("manifest" in part) manifest = part.manifest;
    else count(part.file, main, counts);
  }
  if (manifest === undefined) throw damagedFault("it has no manifest");
  for (const kind of ["signed", "requests"] as const) {
    if (counts[kind] === manifest[kind]) continue;
    throw damagedFault(`it has ${counts[kind]} files in ${kind}/, and says ${manifest[kind]}`);
  }
  const authority = await judgeAuthority(caLayout(""), async (path) => main.get(path));
  if (authority.state === "partial") throw notWhole(authority.problems);
  return {
    manifest,
    authority,
    async *files() {
      for await (const part of unpack(unlocked.read())) if ("file" in part) yield part.file;
    },
  };
}

function count(
  { path, content }: ArchiveFile,
  main: Map<string, Buffer>,
  counts: { signed: number; requests: number },
): void {
  if (path.startsWith("signed/")) counts.signed += 1;
  else if (path.startsWith("requests/")) counts.requests += 1;
  else main.set(path, content);
}

function notWhole(problems: readonly string[]): Fault {
  const { code, message, hints } = damagedFault("it holds no whole authority");
  return new Fault(code, message, { hints: [...problems, ...hints] });
}
