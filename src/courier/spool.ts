// Commands on disk until every PuppetDB has them: appended to segments, each synced before its
// sender is answered, whole segments deleted once nobody needs them. The idea: memory holds what a
// segment has only while somebody reads it, so a million commands take no more than a few.
// Danger: a sequence number is never given again, also when its segment is gone.

import { type FileHandle, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import {
  makeFolder,
  readFreeBytes,
  readIfThere,
  syncFolder,
  writeFileAtomic,
} from "../host/files.ts";
import type { CommandKind } from "./command.ts";
import {
  type Framed,
  hasFrameBehind,
  parseHead,
  parseIndex,
  renderFrame,
  renderHead,
  renderIndex,
  scanFrames,
  type SpooledHead,
} from "./frame.ts";

/** A segment that is longer is followed by a new one. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Commands of a segment: what is in memory of one that is being read. */
const SEGMENT_COUNT_MAX = 5000;
/** Segments whose heads are kept in memory at once. */
const LOADED_MAX = 4;
/** Nothing is taken while the disk has less: room for indexes, dead letters and progress. */
const FREE_BYTES_MIN = 32 * 1024 * 1024;
const SEGMENT_NAME = /^(\d{16})\.seg$/;

export interface SpoolOptions {
  segmentBytes?: number;
  /** More than this is refused, in bytes. */
  bytesMax?: number;
  /** Takes no more of the disk than it leaves free. */
  leavesHalf?: boolean;
  /** Bytes that may still be written below a folder. */
  readFree?: (folder: string) => Promise<number>;
  /** Told before what the disk has damaged is cut off: commands that were kept are missing. */
  onDamage?: () => Promise<void>;
}

/** A command in the spool. */
export interface Entry {
  /** Its number: later ones have higher numbers. */
  seq: number;
  head: SpooledHead;
}

/** The newest command of a kind for a certname. */
export interface Newest {
  seq: number;
  producerMs: number;
}

interface Segment {
  first: number;
  count: number;
  bytes: number;
  /** Absent while it isn't needed. */
  frames: Framed[] | undefined;
}

interface Waiting {
  head: SpooledHead;
  body: Buffer;
  resolve: (seq: number) => void;
  reject: (error: unknown) => void;
}

/** Opens the spool in `folder`, which is made if need be. A torn tail is cut off. */
export async function openSpool(folder: string, options: SpoolOptions = {}): Promise<Spool> {
  await makeFolder(folder, { mode: 0o700 });
  const spool = new Spool(folder, options);
  await spool.open();
  return spool;
}

export class Spool {
  readonly #folder: string;
  readonly #options: SpoolOptions;
  readonly #segments: Segment[] = [];
  readonly #newest = new Map<string, Newest>();
  #file: FileHandle | undefined;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #changed: Promise<unknown> = Promise.resolve();

  constructor(folder: string, options: SpoolOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async open(): Promise<void> {
    const names = (await readdir(this.#folder)).sort();
    const firsts = names.flatMap((name) => {
      const [, first] = SEGMENT_NAME.exec(name) ?? [];
      return first === undefined ? [] : [Number(first)];
    });
    for (const [index, first] of firsts.entries()) {
      const sealed = index < firsts.length - 1;
      const segment = sealed ? await this.#loadSealed(first) : await this.#loadLast(first);
      for (const [at, { head }] of (segment.frames ?? []).entries()) this.#know(first + at, head);
      if (sealed) segment.frames = undefined;
      this.#segments.push(segment);
    }
    if (this.#segments.length === 0) await this.#begin(1);
    else this.#file = await open(this.#path(this.#last.first), "r+");
  }

  /** The number that the next command gets. */
  get next(): number {
    return this.#last.first + this.#last.count;
  }

  /** The lowest number that is still there; `next` when none is. */
  get first(): number {
    return this.#segments[0]?.first ?? this.next;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The newest of its kind for its certname that came in, by producer time. */
  newestOf(kind: CommandKind, certname: string): Newest | undefined {
    return this.#newest.get(`${kind} ${certname}`);
  }

  /**
   * Keeps a command; its number once it is synced to disk. Rejects with Fault `courier.spool-full`,
   * `courier.spool-failed`; nothing of it is kept then.
   */
  async append(head: SpooledHead, body: Buffer): Promise<number> {
    try {
      // What can't be read again would end its segment at the next start.
      parseHead(renderHead(head));
    } catch (error) {
      throw new Fault("courier.spool-failed", `the command can't be kept: ${messageOf(error)}`);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ head, body, resolve, reject });
      this.#writing ??= this.#write();
    });
  }

  /** Up to `limit` commands from number `from` on, in order. */
  async read(from: number, limit: number): Promise<Entry[]> {
    const entries: Entry[] = [];
    // Of a copy: some may be dropped while others are read.
    for (const segment of this.#segments.slice()) {
      if (segment.first + segment.count <= from) continue;
      if (!this.#segments.includes(segment)) continue;
      const frames = await this.#framesOf(segment);
      const start = Math.max(0, from - segment.first);
      for (let at = start; at < frames.length && entries.length < limit; at += 1) {
        const frame = frames[at];
        if (frame !== undefined) entries.push({ seq: segment.first + at, head: frame.head });
      }
      if (entries.length >= limit) break;
    }
    return entries;
  }

  /** A command's body as it came; undefined when it is gone, or can't be read. */
  async body(seq: number): Promise<Buffer | undefined> {
    return this.#body(seq).catch(() => undefined);
  }

  async #body(seq: number): Promise<Buffer | undefined> {
    const segment = this.#segments.find(({ first, count }) => seq >= first && seq < first + count);
    const frame = segment && (await this.#framesOf(segment))[seq - segment.first];
    if (segment === undefined || frame === undefined) return undefined;
    const file = await open(this.#path(segment.first), "r");
    try {
      const bytes = Buffer.alloc(frame.bodyBytes);
      const { bytesRead } = await file.read(bytes, 0, frame.bodyBytes, frame.bodyAt);
      return bytesRead === frame.bodyBytes ? bytes : undefined;
    } finally {
      await file.close();
    }
  }

  /** Forgets commands up to number `upTo`, in whole segments. */
  async drop(upTo: number): Promise<void> {
    await this.#inTurn(async () => this.#drop(upTo));
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#inTurn(async () => {
      await this.#file?.close();
      this.#file = undefined;
    });
  }

  /** Changes of the segments, one after the other: what is dropped mustn't be written to. */
  async #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#changed.then(change);
    this.#changed = done.catch(() => undefined);
    await done;
  }

  async #drop(upTo: number): Promise<void> {
    await this.#dropSealed(upTo);
    if (upTo < this.next - 1 || this.#last.count === 0) return;
    // Without an index, which a full disk has no room for: nobody reads it any more.
    await this.#begin(this.next);
    await this.#dropSealed(upTo);
  }

  async #dropSealed(upTo: number): Promise<void> {
    while (this.#segments.length > 1) {
      const [oldest] = this.#segments;
      if (oldest === undefined || oldest.first + oldest.count - 1 > upTo) return;
      // The index last: a segment without one is read whole, one without a segment is nothing.
      await rm(this.#path(oldest.first), { force: true });
      await rm(this.#indexPath(oldest.first), { force: true });
      this.#segments.shift();
      for (const [key, { seq }] of this.#newest) {
        if (seq < oldest.first + oldest.count) this.#newest.delete(key);
      }
    }
  }

  get #last(): Segment {
    const last = this.#segments.at(-1);
    if (last === undefined) throw new Fault("courier.spool-failed", "the spool isn't open");
    return last;
  }

  #path(first: number): string {
    return join(this.#folder, `${String(first).padStart(16, "0")}.seg`);
  }

  #indexPath(first: number): string {
    return join(this.#folder, `${String(first).padStart(16, "0")}.idx`);
  }

  #know(seq: number, { kind, certname, producerMs }: SpooledHead): void {
    const key = `${kind} ${certname}`;
    const known = this.#newest.get(key);
    if (known === undefined || producerMs >= known.producerMs) {
      this.#newest.set(key, { seq, producerMs });
    }
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#inTurn(async () => this.#writeBatch(batch));
      } catch (error) {
        const full = (error as { code?: unknown }).code === "ENOSPC";
        const fault =
          error instanceof Fault
            ? error
            : new Fault(
                full ? "courier.spool-full" : "courier.spool-failed",
                `the command can't be kept in ${this.#folder}: ${messageOf(error)}`,
              );
        for (const { reject } of batch) reject(fault);
      }
    }
    // Together with the last look at who waits: whoever comes now starts anew.
    this.#writing = undefined;
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const { bytesMax = Infinity, segmentBytes = SEGMENT_BYTES } = this.#options;
    const last = this.#last;
    if (last.bytes >= segmentBytes || last.count >= SEGMENT_COUNT_MAX) await this.#roll();
    const segment = this.#last;
    const pieces: Buffer[] = [];
    const frames: Framed[] = [];
    let at = segment.bytes;
    for (const { head, body } of batch) {
      const frame = renderFrame(head, body);
      const before = frame[0]!.length + frame[1]!.length;
      frames.push({ head, bodyAt: at + before, bodyBytes: body.length });
      at += before + body.length;
      pieces.push(...frame);
    }
    if (this.bytes - segment.bytes + at > bytesMax) {
      const text = `the spool has ${this.bytes} bytes, and ${bytesMax} is its limit`;
      throw new Fault("courier.spool-full", text);
    }
    await this.#assertRoom();
    const file = this.#file;
    if (file === undefined) throw new Fault("courier.spool-failed", "the spool is closed");
    try {
      await writeAll(file, pieces, segment.bytes);
      await file.datasync();
    } catch (error) {
      // Or the next one would follow half a frame, and be lost with it.
      await file.truncate(segment.bytes).catch(() => undefined);
      throw error;
    }
    const first = segment.first + segment.count;
    segment.bytes = at;
    segment.count += batch.length;
    (segment.frames ??= []).push(...frames);
    for (const [index, { head, resolve }] of batch.entries()) {
      this.#know(first + index, head);
      resolve(first + index);
    }
  }

  /** Ends the last segment and begins the next. */
  async #roll(): Promise<void> {
    const last = this.#last;
    const frames = await this.#framesOf(last);
    await writeFileAtomic(this.#indexPath(last.first), renderIndex(frames), { mode: 0o600 });
    await this.#begin(last.first + last.count);
  }

  /** What is taken must leave room for what delivery writes, or nothing would ever be freed. */
  async #assertRoom(): Promise<void> {
    const { leavesHalf = false, readFree = readFreeBytes } = this.#options;
    const needed = Math.max(FREE_BYTES_MIN, leavesHalf ? this.bytes : 0);
    if ((await readFree(this.#folder)) >= needed) return;
    const text = `the disk of ${this.#folder} has less than ${needed} bytes free`;
    throw new Fault("courier.spool-full", text);
  }

  async #begin(first: number): Promise<void> {
    const path = this.#path(first);
    const file = await open(path, "wx+", 0o600);
    try {
      await syncFolder(this.#folder);
    } catch (error) {
      // The last segment stays the last, and a later attempt finds no file in its way.
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
      throw error;
    }
    const before = this.#file;
    this.#file = file;
    this.#segments.push({ first, count: 0, bytes: 0, frames: [] });
    await before?.close().catch(() => undefined);
  }

  async #framesOf(segment: Segment): Promise<Framed[]> {
    if (segment.frames === undefined) {
      const loaded = this.#segments.filter(({ frames }) => frames !== undefined);
      if (loaded.length >= LOADED_MAX) {
        const [idle] = loaded.filter((each) => each !== this.#last);
        if (idle !== undefined) idle.frames = undefined;
      }
      segment.frames = (await this.#loadSealed(segment.first)).frames;
    }
    return segment.frames ?? [];
  }

  async #loadSealed(first: number): Promise<Segment> {
    const index = await readIfThere(this.#indexPath(first));
    const frames = index === undefined ? undefined : parseIndex(index);
    const end = frames?.at(-1);
    const bytes = end === undefined ? 0 : end.bodyAt + end.bodyBytes;
    // The index of a roll that failed knows nothing of what came after.
    if (frames === undefined || bytes !== (await stat(this.#path(first))).size) {
      return this.#loadLast(first, true);
    }
    return { first, count: frames.length, bytes, frames };
  }

  async #loadLast(first: number, sealed = false): Promise<Segment> {
    const path = this.#path(first);
    const bytes = await readFile(path);
    const { frames, end } = scanFrames(bytes);
    if (end < bytes.length) {
      // A power cut tears the end of the last one, which nobody was answered for.
      if (sealed || hasFrameBehind(bytes, end)) await this.#options.onDamage?.();
      const file = await open(path, "r+");
      await file.truncate(end);
      await file.sync();
      await file.close();
    }
    return { first, count: frames.length, bytes: end, frames };
  }
}

async function writeAll(file: FileHandle, pieces: readonly Buffer[], at: number): Promise<void> {
  const bytes = Buffer.concat(pieces);
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    done += bytesWritten;
  }
}
