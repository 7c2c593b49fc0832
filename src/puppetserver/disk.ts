// Whether puppetserver has room to work in: each catalog writes the node's facts, and reports may
// go to disk. Without room it still answers its health check, and fails every compile it is given.

import { statfs } from "node:fs/promises";

const MIB = 1024 * 1024;
/** Facts of 100 nodes, and Ruby's temporary files. */
const FREE_MIB_MIN = 32;
/** More before it serves again, so that it doesn't come and go. */
const FREE_MIB_AGAIN = 64;
/** Of stored reports each is one: a small file system runs out of inodes before it is full. */
const FREE_FILES_MIN = 1000;
const FREE_FILES_AGAIN = 2000;

/** What a file system still takes. */
export interface Room {
  /** That users other than root may write. */
  bytes: number;
  /** Infinite where it doesn't count them. */
  files: number;
}

/** Why it should get no requests with so much room; empty when it should. `was`: the last answer. */
export function judgeRoom({ bytes, files }: Room, was: string, folder: string): string {
  // What is free now would change with every look.
  const full = `the disk of ${folder} is full: it serves again with ${FREE_MIB_AGAIN} MiB free`;
  if (bytes < (was === full ? FREE_MIB_AGAIN : FREE_MIB_MIN) * MIB) return full;
  const many = `the disk of ${folder} takes no more files: it serves again with ${FREE_FILES_AGAIN} inodes free`;
  return files < (was === many ? FREE_FILES_AGAIN : FREE_FILES_MIN) ? many : "";
}

/** The room below `folder`. */
export async function readRoom(folder: string): Promise<Room> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return { bytes: bavail * bsize, files: files === 0 ? Number.POSITIVE_INFINITY : ffree };
}
