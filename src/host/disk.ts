// How much room there is on the file systems of this server.

import { stat, statfs } from "node:fs/promises";
import { isMissing } from "./files.ts";

/** What a file system still takes. */
export interface Disk {
  /** The first of the folders that lie on it. */
  folder: string;
  /** What users other than root may still write. */
  freeBytes: number;
  sizeBytes: number;
  /** Inodes; absent where it doesn't count them. */
  files?: { free: number; all: number };
}

/** The file systems of `folders`, each once; a folder that isn't there has none. */
export async function readDisks(folders: readonly string[]): Promise<Disk[]> {
  const disks = new Map<number, Disk>();
  for (const folder of folders) {
    try {
      const { dev } = await stat(folder);
      if (!disks.has(dev)) disks.set(dev, await readDisk(folder));
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return [...disks.values()];
}

async function readDisk(folder: string): Promise<Disk> {
  const { bavail, blocks, bsize, files, ffree } = await statfs(folder);
  const room = { folder, freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
  return files === 0 ? room : { ...room, files: { free: ffree, all: files } };
}
