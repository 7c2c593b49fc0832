// Files written whole or not at all: temporary file in the same folder, fsync, rename, fsync of the
// folder. Danger: a rename without the folder's fsync may be gone after a power cut.

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import {
  access,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  stat,
  statfs,
} from "node:fs/promises";
import { dirname, join } from "node:path";

export interface WriteOptions {
  /** Default 0644. */
  mode?: number;
  owner?: { uid: number; gid: number };
}

/** What goes into a file; what comes in pieces is never held in memory whole. */
export type Content = string | Uint8Array | AsyncIterable<Uint8Array>;

/**
 * Writes `content` to `path` so that a reader, also after a power cut, sees the old file or the new
 * one.
 */
export async function writeFileAtomic(
  path: string,
  content: Content,
  options: WriteOptions = {},
): Promise<void> {
  await replaceFile(path, content, options);
  await syncFolder(dirname(path));
}

/**
 * As writeFileAtomic, but durable only once the caller has synced the folder: for many files at
 * once.
 */
export async function replaceFile(
  path: string,
  content: Content,
  options: WriteOptions = {},
): Promise<void> {
  await writeBeside(path, content, options, async (temporary) => rename(temporary, path));
}

/** Makes the file `path` with `content`, whole and durable, unless it is there (EEXIST). */
export async function createFileAtomic(
  path: string,
  content: Content,
  options: WriteOptions = {},
): Promise<void> {
  await writeBeside(path, content, options, async (temporary) => {
    await link(temporary, path);
    await rm(temporary);
  });
  await syncFolder(dirname(path));
}

/**
 * Writes and syncs a file with a name of its own beside `path`, and gives it to `place`, which
 * leaves nothing of that name.
 */
async function writeBeside(
  path: string,
  content: Content,
  options: WriteOptions,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  // Short: `path` may have a name as long as the file system allows.
  const temporary = join(dirname(path), `.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(content);
      await file.chmod(options.mode ?? 0o644);
      if (options.owner) await file.chown(options.owner.uid, options.owner.gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes renames, creations and deletions in `folder` durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes only when the content differs. Returns whether it wrote. */
export async function writeIfChanged(
  path: string,
  content: string,
  options: WriteOptions = {},
): Promise<boolean> {
  if ((await readIfThere(path)) === content) return false;
  await writeFileAtomic(path, content, options);
  return true;
}

/** The text of `path`, or undefined when there is no such file. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return (await readBytesIfThere(path))?.toString("utf8");
}

/** The bytes of `path`, or undefined when there is no such file. */
export async function readBytesIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Creates `path` and its parents; `path` itself gets the mode if it is new, and the owner. */
export async function makeFolder(path: string, options: WriteOptions = {}): Promise<void> {
  const mode = options.mode ?? 0o755;
  const first = await mkdir(path, { recursive: true, mode });
  // Whatever the umask: root's own may keep puppet and our other users out.
  if (first !== undefined) await chmod(path, mode);
  if (options.owner) await chown(path, options.owner.uid, options.owner.gid);
}

/** Bytes that users other than root may still write below `folder`. */
export async function readFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** When the file was last changed, ms since the epoch; undefined where there is none. */
export async function changedMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether `error` says that a file or folder does not exist. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
