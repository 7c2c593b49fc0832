// Whether puppetserver has room to work in: each catalog writes the node's facts, and reports may
// go to disk. Without room it still answers its health check, and fails every compile it is given.

const MIB = 1024 * 1024;
/** Facts of 100 nodes, and Ruby's temporary files. */
const FREE_MIB_MIN = 32;
/** More before it serves again, so that it doesn't come and go. */
const FREE_MIB_AGAIN = 64;

/**
 * Why it should get no requests with so many bytes free; empty when it should. `was` is the last
 * answer.
 */
export function judgeRoom(freeBytes: number, was: string, folder: string): string {
  const needed = was === "" ? FREE_MIB_MIN : FREE_MIB_AGAIN;
  if (freeBytes >= needed * MIB) return "";
  // The free space itself would change with every look.
  return `the disk of ${folder} is full: it serves again with ${FREE_MIB_AGAIN} MiB free`;
}
