// This server's own durable copy of the shared record: every change appended and fsynced, from time
// to time folded into a snapshot. With fewer than three etcd voters it is the second copy that an
// acknowledgement waits for, and what a recovery by hand starts from.
// Danger: appliedRevision() is a promise. It must never run ahead of what a power cut would leave.

import { randomBytes } from "node:crypto";
import { copyFile, open, rename, rm, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { makeFolder, syncFolder } from "../host/files.ts";
import {
  LOG,
  readJournal,
  renderBase,
  renderEnd,
  renderEvent,
  scanJournal,
  SNAPSHOT,
  type JournalEvent,
} from "./journal-lines.ts";

export type { JournalEvent } from "./journal-lines.ts";

export interface JournalOptions {
  log?: Log;
  /**
   * The log is folded into the snapshot when it is longer than this and than the snapshot. Bytes,
   * default 16 MiB.
   */
  foldAboveBytes?: number;
  /** More than this is refused. Bytes, default 8 GiB. */
  bytesMax?: number;
}

/** A key that is there. */
export type LiveEvent = JournalEvent & { value: string };

/** Up to where a copy goes, and what its newest change is; see Journal. */
export interface CopyEnd {
  revision: number;
  newest: JournalEvent | undefined;
}

export interface Journal {
  /**
   * Adds changes and returns when they are on disk. `revision` is the newest that they cover.
   * Rejects with Fault `ca.journal-full` or `ca.journal-failed`; then nothing of it counts and the
   * same changes must be appended again (or everything rewritten) before any later ones.
   */
  append(events: readonly JournalEvent[], revision: number): Promise<void>;
  /**
   * Replaces everything by `events`, the whole record as of `revision`. What they throw as a Fault
   * comes through, and everything stays as it was.
   */
  rewrite(
    events: Iterable<JournalEvent> | AsyncIterable<JournalEvent>,
    revision: number,
  ): Promise<void>;
  /** The revision up to which this copy would survive a power cut; 0: nothing. */
  appliedRevision(): number;
  /**
   * The change that this copy ends with, a value rather than a deletion where its revision has
   * both; undefined where only the revision is known.
   */
  newest(): JournalEvent | undefined;
  /** Every key that is there now with its newest value, in no order. */
  replay(): AsyncGenerator<{ key: string; value: string; revision: number }>;
  /** The same handed over, and the copy's end as of then. */
  load(take: (event: LiveEvent) => void): Promise<CopyEnd>;
  /** What was odd when it was opened; undefined when nothing was. */
  readonly warning: string | undefined;
  close(): Promise<void>;
}

const FOLD_ABOVE_BYTES = 16 * 1024 * 1024;
const JOURNAL_BYTES_MAX = 8 * 1024 * 1024 * 1024;
/** Characters that are put together for one write while a snapshot is made. */
const WRITE_CHARACTERS = 1024 * 1024;

/** Opens the journal in `folder`, which is made if need be. A torn tail is cut off. */
export async function openJournal(folder: string, options: JournalOptions = {}): Promise<Journal> {
  await makeFolder(folder, { mode: 0o700 });
  await rm(join(folder, `${SNAPSHOT}.new`), { force: true });
  const store = new Store(folder, options);
  await store.open();
  return store;
}

interface Pending {
  text: string;
  newest: JournalEvent | undefined;
  revision: number;
  resolve: () => void;
  reject: (error: Fault) => void;
}

class Store implements Journal {
  warning: string | undefined;
  readonly #folder: string;
  readonly #options: JournalOptions;
  #log: FileHandle | undefined;
  #logBytes = 0;
  #snapshotBytes = 0;
  #revision = 0;
  #newest: JournalEvent | undefined;
  #pending: Pending[] = [];
  /** Everything that touches the files runs one after the other on this chain. */
  #turn: Promise<void> = Promise.resolve();

  constructor(folder: string, options: JournalOptions) {
    this.#folder = folder;
    this.#options = options;
  }

  async open(): Promise<void> {
    const snapshot = await scanJournal(this.#path(SNAPSHOT));
    const log = await scanJournal(this.#path(LOG));
    if (snapshot.totalBytes > snapshot.goodBytes) {
      // A snapshot is renamed into place when it is complete; a bad one is a bad disk.
      const what = `the snapshot in ${this.#folder} is damaged`;
      this.warning = `${what}: this copy counts for nothing until it is rewritten`;
      await this.#putAside(SNAPSHOT);
      await this.#putAside(LOG);
      await this.#startLog("");
      return;
    }
    this.#revision = snapshot.revision;
    this.#newest = snapshot.newest;
    this.#snapshotBytes = snapshot.goodBytes;
    if (log.base !== snapshot.base) {
      // A power cut came between a new snapshot and its new log: the old log is in the snapshot.
      await this.#startLog(snapshot.base);
      return;
    }
    if (log.damaged) {
      const what = `the log in ${this.#folder} is damaged`;
      this.warning = `${what}: this copy ends at revision ${log.revision}`;
      await copyFile(this.#path(LOG), `${this.#path(LOG)}.damaged`);
    }
    this.#revision = Math.max(snapshot.revision, log.revision);
    this.#newest = newerOf(snapshot.newest, log.newest);
    this.#log = await open(this.#path(LOG), "a", 0o600);
    this.#logBytes = log.goodBytes;
    await this.#log.truncate(log.goodBytes);
    await this.#log.sync();
    await syncFolder(this.#folder);
  }

  appliedRevision(): number {
    return this.#revision;
  }

  newest(): JournalEvent | undefined {
    return this.#newest?.revision === this.#revision ? this.#newest : undefined;
  }

  append(events: readonly JournalEvent[], revision: number): Promise<void> {
    const text = events.map(renderEvent).join("") + renderEnd(revision);
    const newest = events.reduce(newerOf, undefined as JournalEvent | undefined);
    const done = new Promise<void>((resolve, reject) => {
      this.#pending.push({ text, newest, revision, resolve, reject });
    });
    void this.#inTurn(() => this.#flush()).catch(() => undefined);
    return done;
  }

  rewrite(
    events: Iterable<JournalEvent> | AsyncIterable<JournalEvent>,
    revision: number,
  ): Promise<void> {
    return this.#inTurn(async () => {
      this.#newest = await this.#replaceSnapshot(events, revision);
      this.#revision = revision;
    });
  }

  load(take: (event: LiveEvent) => void): Promise<CopyEnd> {
    return this.#inTurn(async () => {
      for await (const event of this.#live()) take(event);
      return { revision: this.#revision, newest: this.newest() };
    });
  }

  async *replay(): AsyncGenerator<LiveEvent> {
    // The turn is held until the last one was taken, so that no fold changes the files meanwhile.
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: ready, resolve: start } = Promise.withResolvers<void>();
    void this.#inTurn(() => {
      start();
      return held;
    });
    await ready;
    try {
      yield* this.#live();
    } finally {
      release();
    }
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      // What still waits is refused rather than left hanging.
      await this.#flush();
      await this.#log?.close();
      this.#log = undefined;
    });
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(act);
    this.#turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Writes all that waits with one fsync. */
  async #flush(): Promise<void> {
    const batch = this.#pending;
    if (batch.length === 0) return;
    this.#pending = [];
    try {
      await this.#write(Buffer.from(batch.map(({ text }) => text).join("")));
    } catch (error) {
      const fault = await this.#undo(error);
      for (const { reject } of batch) reject(fault);
      return;
    }
    this.#revision = batch.reduce((max, { revision }) => Math.max(max, revision), this.#revision);
    this.#newest = batch.reduce((most, { newest }) => newerOf(most, newest), this.#newest);
    for (const { resolve } of batch) resolve();
    if (this.#logBytes > Math.max(this.#foldAbove(), this.#snapshotBytes)) await this.#fold();
  }

  async #write(bytes: Buffer): Promise<void> {
    const limit = this.#options.bytesMax ?? JOURNAL_BYTES_MAX;
    if (this.#log === undefined) throw new Error("the journal is closed");
    if (this.#snapshotBytes + this.#logBytes + bytes.length > limit) {
      throw Object.assign(new Error(`longer than ${limit} bytes`), { code: "EFBIG" });
    }
    await this.#log.appendFile(bytes);
    await this.#log.datasync();
    this.#logBytes += bytes.length;
  }

  /** Cuts off what a failed write left, so that the next one starts at a line's beginning. */
  async #undo(error: unknown): Promise<Fault> {
    try {
      await this.#log?.truncate(this.#logBytes);
    } catch (second) {
      this.#options.log?.error("the journal's tail can't be cut off", { why: messageOf(second) });
      this.#log = undefined;
    }
    return journalFault(this.#folder, error);
  }

  async #fold(): Promise<void> {
    try {
      await this.#replaceSnapshot(this.#live(), this.#revision);
    } catch (error) {
      // Folding only saves space; unless the log itself broke, it is whole and goes on.
      this.#options.log?.warn("the journal can't be folded", { why: messageOf(error) });
    }
  }

  /** Returns the newest of `events`. */
  async #replaceSnapshot(
    events: Iterable<JournalEvent> | AsyncIterable<JournalEvent>,
    revision: number,
  ): Promise<JournalEvent | undefined> {
    const path = this.#path(`${SNAPSHOT}.new`);
    const base = randomBytes(8).toString("hex");
    let newest: JournalEvent | undefined;
    try {
      const written = await writeSnapshot(path, base, events, revision);
      this.#snapshotBytes = written.bytes;
      newest = written.newest;
    } catch (error) {
      await rm(path, { force: true });
      throw error instanceof Fault ? error : journalFault(this.#folder, error);
    }
    await rename(path, this.#path(SNAPSHOT));
    await syncFolder(this.#folder);
    await this.#startLog(base);
    return newest;
  }

  /**
   * An empty log that goes on from the snapshot `base`. From its base on, an older log counts no
   * more.
   */
  async #startLog(base: string): Promise<void> {
    await this.#log?.close();
    this.#log = undefined;
    const log = await open(this.#path(LOG), "a", 0o600);
    await log.truncate(0);
    const line = base === "" ? "" : renderBase(base);
    await log.appendFile(line);
    await log.sync();
    await syncFolder(this.#folder);
    this.#log = log;
    this.#logBytes = Buffer.byteLength(line);
  }

  /**
   * Every key that is there. Only where in the log each of its keys was changed last is kept: the
   * record may be larger than the heap should be.
   */
  async *#live(): AsyncGenerator<LiveEvent> {
    const log = this.#path(LOG);
    const last = new Map<string, number>();
    for await (const { event, offset } of readJournal(log, this.#logBytes)) {
      last.set(event.key, offset);
    }
    for await (const { event } of readJournal(this.#path(SNAPSHOT), this.#snapshotBytes)) {
      if (isLive(event) && !last.has(event.key)) yield event;
    }
    for await (const { event, offset } of readJournal(log, this.#logBytes)) {
      if (isLive(event) && last.get(event.key) === offset) yield event;
    }
  }

  async #putAside(name: string): Promise<void> {
    await rename(this.#path(name), `${this.#path(name)}.damaged`).catch(() => undefined);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #foldAbove(): number {
    return this.#options.foldAboveBytes ?? FOLD_ABOVE_BYTES;
  }
}

/** Writes and syncs a whole snapshot; returns its bytes and its newest change. */
async function writeSnapshot(
  path: string,
  base: string,
  events: Iterable<JournalEvent> | AsyncIterable<JournalEvent>,
  revision: number,
): Promise<{ bytes: number; newest: JournalEvent | undefined }> {
  const file = await open(path, "w", 0o600);
  try {
    let bytes = 0;
    let newest: JournalEvent | undefined;
    let chunk = renderBase(base);
    const flush = async () => {
      const data = Buffer.from(chunk);
      await file.appendFile(data);
      bytes += data.length;
      chunk = "";
    };
    for await (const event of events) {
      if (event.value === null) continue;
      newest = newerOf(newest, event);
      chunk += renderEvent(event);
      if (chunk.length > WRITE_CHARACTERS) await flush();
    }
    chunk += renderEnd(revision);
    await flush();
    await file.sync();
    return { bytes, newest };
  } finally {
    await file.close();
  }
}

function isLive(event: JournalEvent): event is LiveEvent {
  return event.value !== null;
}

/** The one of the higher revision; of equals a value, not a deletion. */
function newerOf<Event extends JournalEvent | undefined>(a: Event, b: Event): Event {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.revision !== b.revision) return a.revision > b.revision ? a : b;
  return a.value === null ? b : a;
}

function journalFault(folder: string, error: unknown): Fault {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const full = ["ENOSPC", "EDQUOT", "EFBIG"].includes(code);
  return new Fault(
    full ? "ca.journal-full" : "ca.journal-failed",
    `this server's copy of the record in ${folder} can't be written: ${messageOf(error)}`,
    {
      hints: [
        "Nothing is lost: etcd has the change. But this server doesn't count as a copy of it.",
      ],
      cause: error,
    },
  );
}
