// The `serial` file of a CA directory that stock Puppet is to sign in again. The daemon keeps it in
// a block of 64 set aside for stock tools; behind that come serials that the cluster has given.
// Danger: stock counts on from the file and knows of nobody else.

import { Fault } from "../base/fault.ts";
import type { Etcd } from "../etcd/types.ts";
import { readIfThere, writeFileAtomic, type WriteOptions } from "../host/files.ts";
import { DIRECTORY_BLOCK_SIZE, ISSUE_BLOCK_SIZE } from "./blocks.ts";
import { partialFault, readAuthority } from "./directory-state.ts";
import { readContent } from "./import-read.ts";
import { caLayout, FILE_MODE } from "./layout.ts";
import { decodeValue, SERIAL_KEY, SerialValue } from "./record.ts";
import { parseSerialFile, renderSerialFile } from "./serial.ts";

export interface RaiseOptions {
  cadir: string;
  /** Who owns its files: puppet. */
  owner?: WriteOptions["owner"];
  /** Reaches the record. Without it, or where it fails, the directory's own content has to do. */
  connect?: () => Promise<Etcd>;
}

/**
 * Raises the `serial` file above every serial that a block of the record has. No daemon may run on
 * the directory. Throws Fault `ca.directory-partial` where neither says what was given, and what
 * the file system throws.
 */
export async function raiseSerialFile({ cadir, owner, connect }: RaiseOptions): Promise<void> {
  const { serial: path } = caLayout(cadir);
  const inRecord = connect && (await freeInRecord(connect).catch(() => undefined));
  const free = inRecord ?? (await freeOnDisk(cadir));
  const next = parseSerialFile((await readIfThere(path)) ?? "");
  if (next !== undefined && next >= free) return;
  const owned = owner === undefined ? {} : { owner };
  await writeFileAtomic(path, renderSerialFile(free), { ...owned, mode: FILE_MODE });
}

/** The lowest serial that no block has; 0: nothing was taken into the record yet. */
async function freeInRecord(connect: () => Promise<Etcd>): Promise<number> {
  const kv = await (await connect()).get(SERIAL_KEY);
  return kv === undefined ? 0 : decodeValue(SerialValue, SERIAL_KEY, kv.value).next;
}

/**
 * Above all that the directory knows of, and above what it may not have come to know: the last
 * certificates of a daemon that was stopped come from the block after the one that it saw last.
 */
async function freeOnDisk(cadir: string): Promise<number> {
  const authority = await readAuthority(cadir);
  if (authority.state === "partial") throw partialFault(cadir, authority.problems);
  if (authority.state === "absent") {
    throw new Fault("ca.directory-absent", `there is no certificate authority in ${cadir}`);
  }
  const { next } = await readContent(cadir, authority);
  return next + DIRECTORY_BLOCK_SIZE + ISSUE_BLOCK_SIZE;
}
