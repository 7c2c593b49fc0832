// A configuration file that we edit is kept as it was, beside it, once and for good. Danger: a
// second run must never take our own edit for the original, nor a power cut leave half an original;
// so the copy is written under another name and linked into place, which fails when there is one.

import { lstat, readFile, readlink, rm, symlink } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../base/fault.ts";
import {
  createFileAtomic,
  isMissing,
  readIfThere,
  syncFolder,
  writeFileAtomic,
} from "../host/files.ts";

const SUFFIX = ".before-understudy";
/** What an administrator made of our edit, kept when the original comes back. */
const LEFT_SUFFIX = ".from-understudy";

/**
 * Where the original of `path` is kept. Neither puppetserver nor puppet reads files with this
 * ending.
 */
export function originalPath(path: string): string {
  return path + SUFFIX;
}

/** The original of `path`, or undefined when we never edited it. */
export async function readOriginal(path: string): Promise<string | undefined> {
  return readIfThere(originalPath(path));
}

/** Replaces the content of `path`, keeping the original beside it, and its owner and mode. */
export async function editFile(path: string, content: string): Promise<void> {
  const stats = await plainFile(path);
  await keepOriginal(path, await readFile(path), stats);
  await writeFileAtomic(path, content, { mode: stats.mode, owner: stats.owner });
}

/** Keeps `path`, a file or a link, as it is beside it, unless that was done before. */
export async function keepBeside(path: string): Promise<void> {
  if (await isThere(originalPath(path))) return;
  if ((await lstat(path)).isSymbolicLink()) {
    await symlink(await readlink(path), originalPath(path));
    await syncFolder(dirname(path));
  } else {
    await keepOriginal(path, await readFile(path), await plainFile(path));
  }
}

/**
 * Puts the original of `path` back and removes the copy. What stood there is kept as
 * PATH.from-understudy when somebody but us had changed it: `ours` is what we had written.
 */
export async function putOriginalBack(path: string, ours: string | undefined): Promise<void> {
  const original = await readOriginal(path);
  if (original === undefined) return;
  const current = await readIfThere(path);
  if (current !== original) {
    const stats = await plainFile(current === undefined ? originalPath(path) : path);
    const keep = { mode: stats.mode, owner: stats.owner };
    if (current !== undefined && current !== ours) {
      await writeFileAtomic(path + LEFT_SUFFIX, current, keep);
    }
    await writeFileAtomic(path, original, keep);
  }
  await forgetOriginal(path);
}

/** Removes the copy: `path` itself is as it is to stay. */
export async function forgetOriginal(path: string): Promise<void> {
  await rm(originalPath(path), { force: true });
  await syncFolder(dirname(path));
}

interface FileStats {
  mode: number;
  owner: { uid: number; gid: number };
}

async function plainFile(path: string): Promise<FileStats> {
  const stats = await lstat(path);
  if (!stats.isFile()) {
    throw new Fault("puppetserver.config-unknown", `${path}:1: this is no plain file`, {
      hints: ["Nothing was changed. A link may lead to a file that other servers share."],
    });
  }
  return { mode: stats.mode & 0o7777, owner: { uid: stats.uid, gid: stats.gid } };
}

async function keepOriginal(path: string, content: Buffer, stats: FileStats): Promise<void> {
  const kept = originalPath(path);
  if (await isThere(kept)) return;
  await createFileAtomic(kept, content, stats);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
