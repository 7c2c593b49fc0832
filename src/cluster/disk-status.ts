// Whether a file system that a member needs is nearly full, while there is still time. Pure. What
// is full stops more than itself: etcd takes no changes, the courier and puppetserver take nothing.

import { z } from "zod";
import { type Warning, warning } from "./warning.ts";

const MIB = 1024 * 1024;
/** The part of a file system that should be free. */
const FREE_PART = 0.1;
/** Of a large one this is enough. */
const FREE_MIB_ENOUGH = 5 * 1024;
const FREE_FILES_ENOUGH = 100_000;

/** One file system of a member. */
export const DiskStatus = z.object({
  /** What lies on it; of several folders the first. */
  folder: z.string(),
  /** What users other than root may still write. */
  freeBytes: z.number(),
  sizeBytes: z.number(),
  /** Inodes; absent where it doesn't count them. */
  files: z.object({ free: z.number(), all: z.number() }).optional(),
});
export type DiskStatus = z.infer<typeof DiskStatus>;

/**
 * What it is short of, in words that stay as long as it is; empty: of nothing. A part of it, since
 * on a small one little is much.
 */
export function judgeDisk({ freeBytes, sizeBytes, files }: DiskStatus): string {
  const mib = Math.floor(Math.min(FREE_MIB_ENOUGH, (sizeBytes * FREE_PART) / MIB));
  if (freeBytes < mib * MIB) return `less than ${mib} MiB are free`;
  if (files === undefined) return "";
  const enough = Math.floor(Math.min(FREE_FILES_ENOUGH, files.all * FREE_PART));
  return files.free < enough ? `less than ${enough} inodes are free` : "";
}

export function diskWarnings(id: string, disks: readonly DiskStatus[]): Warning[] {
  return disks.flatMap((disk) => {
    const short = judgeDisk(disk);
    if (short === "") return [];
    const text = `${id}'s disk of ${disk.folder} is nearly full: ${short}.`;
    return [warning("disk-nearly-full", `${id} ${disk.folder}`, text)];
  });
}
