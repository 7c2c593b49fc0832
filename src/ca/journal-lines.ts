// The text of the journal: a line for each change, `CRC JSON`, and one line that ends a batch.
// A person without Understudy can read it. Danger: what follows the last `end` was never confirmed.

import { open, type FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { Fault } from "../base/fault.ts";
import { isMissing } from "../host/files.ts";

/** Longest line in bytes: a whole etcd value at its raised limit, escaped, and some more. */
const LINE_BYTES_MAX = 32 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
/** The sum and a space. */
const HEAD_BYTES = 9;
const [NEWLINE, SPACE, QUOTE, ZERO, A, F] = [0x0a, 0x20, 0x22, 0x30, 0x61, 0x66] as const;

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
  return `${renderSum(crc32(json))} ${json}\n`;
}

function renderSum(sum: number): string {
  return sum.toString(16).padStart(8, "0");
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
  /** The change of the highest revision in complete batches; of several a value, not a deletion. */
  newest: JournalEvent | undefined;
}

/**
 * What is in the file at `path`, without its changes; a missing file is an empty one. Lines are
 * checked but not read: a record of 100,000 certificates has as many, and a start waits for them.
 */
export async function scanJournal(path: string): Promise<Scan> {
  const scan: Scan = {
    base: "",
    revision: 0,
    goodBytes: 0,
    totalBytes: 0,
    damaged: false,
    newest: undefined,
  };
  let newest: { line: Buffer; rank: number } | undefined;
  let broken = false;
  for await (const { bytes, offset } of blocksOf(path, Infinity)) {
    for (const { from, to } of linesOf(bytes)) {
      const isWhole = isGood(bytes, from, to);
      const rank = isWhole ? rankOf(bytes, from, to) : undefined;
      const line = isWhole && rank === undefined ? lineAt(bytes, from, to) : undefined;
      if (!isWhole || line === null) broken = true;
      else if (broken) scan.damaged = true;
      else if (rank !== undefined) {
        if (rank > (newest?.rank ?? 0)) newest = { line: bytes.subarray(from, to), rank };
      } else if (line !== undefined) {
        if ("end" in line) scan.revision = line.end;
        if ("base" in line) scan.base = line.base;
        scan.goodBytes = offset + to;
        scan.newest = newest === undefined ? scan.newest : eventOf(newest.line);
      }
    }
    // A view of it would keep the whole block.
    if (newest !== undefined) newest.line = Buffer.from(newest.line);
    scan.totalBytes = offset + bytes.length;
  }
  return scan;
}

/**
 * The changes in the first `goodBytes` of the file at `path`, as a scan of it has found them, with
 * the offset of their line. Throws Fault `ca.journal-failed` where they aren't what they were.
 */
export async function* readJournal(
  path: string,
  goodBytes: number,
): AsyncGenerator<{ event: JournalEvent; offset: number }> {
  let readBytes = 0;
  for await (const { bytes, offset } of blocksOf(path, goodBytes)) {
    readBytes = offset + bytes.length;
    for (const { from, to } of linesOf(bytes)) {
      const line = isGood(bytes, from, to) ? lineAt(bytes, from, to) : null;
      if (line === null) {
        throw new Fault("ca.journal-failed", `${path} is damaged at byte ${offset + from}`);
      }
      if ("k" in line) {
        yield { event: { key: line.k, value: line.v, revision: line.r }, offset: offset + from };
      }
    }
  }
  if (readBytes < goodBytes) {
    throw new Fault("ca.journal-failed", `${path} ends at byte ${readBytes} of ${goodBytes}`);
  }
}

/** Where the lines of `bytes` lie, newlines included; the last may lack it. */
function* linesOf(bytes: Buffer): Generator<{ from: number; to: number }> {
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, from);
    const to = end < 0 ? bytes.length : end + 1;
    yield { from, to };
    from = to;
  }
}

/** Whether the line is a whole one, and its sum is right. */
function isGood(bytes: Buffer, from: number, to: number): boolean {
  if (to - from <= HEAD_BYTES || bytes[to - 1] !== NEWLINE) return false;
  if (bytes[from + HEAD_BYTES - 1] !== SPACE) return false;
  return crc32(bytes.subarray(from + HEAD_BYTES, to - 1)) === sumAt(bytes, from);
}

/** The sum before a line, as renderSum writes it; NaN for anything else. */
function sumAt(bytes: Buffer, from: number): number {
  let sum = 0;
  for (let at = from; at < from + HEAD_BYTES - 1; at += 1) {
    const digit = bytes[at] ?? 0;
    const value = isDigit(digit) ? digit - ZERO : digit >= A && digit <= F ? digit - A + 10 : NaN;
    sum = sum * 16 + value;
  }
  return sum;
}

/**
 * What a good line weighs as the newest change: its revision, and a half more for a value;
 * undefined when it is no change. Looks at its ends only: `{"k":"`, and `","r":12}` or
 * `null,"r":12}`.
 */
function rankOf(bytes: Buffer, from: number, to: number): number | undefined {
  const head = from + HEAD_BYTES;
  let at = to - 3;
  let revision = 0;
  for (let unit = 1; isDigit(bytes[at]); unit *= 10, at -= 1) {
    revision += ((bytes[at] ?? 0) - ZERO) * unit;
  }
  const isChange =
    bytes.toString("latin1", head, head + 6) === '{"k":"' &&
    bytes.toString("latin1", at - 4, at + 1) === ',"r":';
  if (!isChange || !Number.isSafeInteger(revision)) return undefined;
  return revision + (bytes[at - 5] === QUOTE ? 0.5 : 0);
}

const isDigit = (byte = 0): boolean => byte >= ZERO && byte < ZERO + 10;

function eventOf(line: Buffer): JournalEvent | undefined {
  const read = lineAt(line, 0, line.length);
  return read !== null && "k" in read
    ? { key: read.k, value: read.v, revision: read.r }
    : undefined;
}

function lineAt(bytes: Buffer, from: number, to: number): Line | null {
  try {
    return lineOf(JSON.parse(bytes.toString("utf8", from + HEAD_BYTES, to - 1)));
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

/**
 * The first `bytesMax` of a file in blocks of whole lines, each with its offset; the next is read
 * while one is worked on. What follows the last newline is the last block; so is a line longer than
 * any that is written, and the rest is left.
 */
async function* blocksOf(
  path: string,
  bytesMax: number,
): AsyncGenerator<{ bytes: Buffer; offset: number }> {
  const file = await openIfThere(path);
  if (file === undefined) return;
  const readOn = (rest: Buffer, offset: number) => {
    const known = offset + rest.length;
    const goesOn = known < bytesMax && rest.length <= LINE_BYTES_MAX;
    const reading = goesOn
      ? readBehind(file, rest, Math.min(READ_BYTES, bytesMax - known))
      : Promise.resolve(rest);
    // It may fail before anybody awaits it.
    reading.catch(() => undefined);
    return reading;
  };
  let next = readOn(Buffer.alloc(0), 0);
  try {
    for (let offset = 0, former = 0; ;) {
      const all = await next;
      if (all.length === former) {
        if (all.length > 0) yield { bytes: all, offset };
        return;
      }
      const whole = all.lastIndexOf(NEWLINE) + 1;
      former = all.length - whole;
      next = readOn(all.subarray(whole), offset + whole);
      if (whole > 0) yield { bytes: all.subarray(0, whole), offset };
      offset += whole;
    }
  } finally {
    await next.catch(() => undefined);
    await file.close();
  }
}

/** `rest`, and behind it what `file` has next, at most `most` bytes. */
async function readBehind(file: FileHandle, rest: Buffer, most: number): Promise<Buffer> {
  const all = Buffer.allocUnsafe(rest.length + most);
  rest.copy(all);
  const { bytesRead } = await file.read(all, rest.length, most);
  return all.subarray(0, rest.length + bytesRead);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
