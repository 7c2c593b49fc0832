// Room for one more configuration on a disk that is full: a file whose blocks are there already.
// An edge must be able to send requests away from its own server's puppetserver just then.

import { open } from "node:fs/promises";
import { exists, writeFileAtomic } from "../host/files.ts";

/** A cluster of a hundred servers has half of that. */
export const SPARE_BYTES = 128 * 1024;

const sparePath = (path: string) => `${path}.spare`;

/** Makes sure that there is room for another version of `path`. Where that fails, it says nothing. */
export async function keepSpare(path: string): Promise<void> {
  const spare = sparePath(path);
  if (await exists(spare)) return;
  // Not zeros: a file system may keep those without blocks.
  await writeFileAtomic(spare, "#".repeat(SPARE_BYTES), { mode: 0o600 }).catch(() => undefined);
}

/**
 * Writes `text` into the room that was kept, durably. Returns the file, to be renamed to its place.
 * Throws what the file system throws, ENOENT where no room was kept.
 */
export async function writeToSpare(path: string, text: string): Promise<string> {
  const spare = sparePath(path);
  const file = await open(spare, "r+");
  try {
    const bytes = Buffer.from(text);
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
  return spare;
}
