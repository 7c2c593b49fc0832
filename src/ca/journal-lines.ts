// The text of the journal: a line for each change, `CRC JSON`, and one line that ends a batch.
// A person without Understudy can read it. Danger: what follows the last `end` was never confirmed.

import { open, type FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { linesIn } from "../base/lines.ts";
import { isMissing } from "../host/files.ts";

/** Longest line in bytes: a whole etcd value at its raised limit, escaped, and some more. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** A journal's files: the snapshot, and the log that goes on from it. */
export const SNAPSHOT = "snapshot";
export const LOG = "log";

/** One key of the record as of a revision; `value` null: deleted. */
export interface JournalEvent {
  key: string;
  value: string | null;
  /** The revision that changed it. */
  revision: number;
}

type Line = { k: string; v: string | null; r: number } | { end: number } | { base: string };

export function renderEvent({ key, value, revision }: JournalEvent): string {
  return renderLine({ k: key, v: value, r: revision });
}

/** The line that makes all lines before it count. */
export function renderEnd(revision: number): string {
  return renderLine({ end: revision });
}

/** The first line of a snapshot, and of the log that goes on from it. */
export function renderBase(base: string): string {
  return renderLine({ base });
}

function renderLine(line: Line): string {
  const json = JSON.stringify(line);
  return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
}

export interface Scan {
  /** Which snapshot this is, or belongs to. */
  base: string;
  /** The revision of the last complete batch, 0 when there is none. */
  revision: number;
  /** Bytes up to the end of the last complete batch. */
  goodBytes: number;
  totalBytes: number;
  /** Whether good lines follow a bad one: then it is damage, not a torn tail. */
  damaged: boolean;
}

/** A scan that has read nothing yet. */
export function emptyScan(): Scan {
  return { base: "", revision: 0, goodBytes: 0, totalBytes: 0, damaged: false };
}

/**
 * The changes of complete batches in the file at `path`, with the offset of their line; a missing
 * file is an empty one. `scan` is filled while it reads.
 */
export async function* readJournal(
  path: string,
  scan: Scan = emptyScan(),
): AsyncGenerator<{ event: JournalEvent; offset: number }> {
  let batch: { event: JournalEvent; offset: number }[] = [];
  let broken = false;
  let offset = 0;
  for await (const bytes of linesIn(piecesOf(path), LINE_BYTES_MAX)) {
    const line = parseLine(bytes);
    if (line === null) broken = true;
    else if (broken) scan.damaged = true;
    else if ("k" in line) {
      batch.push({ event: { key: line.k, value: line.v, revision: line.r }, offset });
    } else {
      if ("end" in line) {
        yield* batch;
        batch = [];
        scan.revision = line.end;
      } else scan.base = line.base;
      scan.goodBytes = offset + bytes.length;
    }
    offset += bytes.length;
  }
  scan.totalBytes = offset;
}

/** What is in the file, without its changes. */
export async function scanJournal(path: string): Promise<Scan> {
  const scan = emptyScan();
  // oxlint-disable-next-line no-unused-vars -- only the scan is wanted
  for await (const _ of readJournal(path, scan));
  return scan;
}

function parseLine(bytes: Buffer): Line | null {
  if (bytes.at(-1) !== 0x0a) return null;
  const text = bytes.toString("utf8", 0, bytes.length - 1);
  const json = text.slice(9);
  if (text[8] !== " " || crc32(json).toString(16).padStart(8, "0") !== text.slice(0, 8))
    return null;
  try {
    return lineOf(JSON.parse(json));
  } catch {
    return null;
  }
}

/** By hand: a record of 100,000 certificates has as many lines, and a start waits for them. */
function lineOf(value: unknown): Line | null {
  if (typeof value !== "object" || value === null) return null;
  const { k, v, r, end, base } = value as Record<string, unknown>;
  if (isRevision(end)) return { end };
  if (typeof base === "string") return { base };
  const isEvent = typeof k === "string" && (v === null || typeof v === "string") && isRevision(r);
  return isEvent ? { k, v, r } : null;
}

const isRevision = (value: unknown): value is number => Number.isSafeInteger(value);

async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  const file = await openIfThere(path);
  if (file === undefined) return;
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
