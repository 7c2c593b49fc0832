// The ordinary Puppet CA directory on this server, kept as the record says: stock Puppet Server
// could take over from it at any moment, and reads are answered from it when etcd is gone.
// Danger: files that the record doesn't know are somebody's work; they are reported, never removed.

import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "../base/log.ts";
import {
  isMissing,
  makeFolder,
  readIfThere,
  replaceFile,
  syncFolder,
  type WriteOptions,
} from "../host/files.ts";
import { isCertname } from "./certname.ts";
import { createQueue, type Queue, type QueueState } from "./directory-queue.ts";
import { combineJobs, type DirectoryJob } from "./directory-jobs.ts";
import { renderInventoryLine, serialsIn, type InventoryLine } from "./inventory.ts";
import { caLayout, FILE_MODE, FOLDER_MODE, type CaLayout } from "./layout.ts";
import { inForeground } from "./pieces.ts";
import type { Serial } from "./serial.ts";

/** Files written at once; each costs an fsync. */
const WRITES_AT_ONCE = 8;

export interface DirectoryOptions {
  folder: string;
  owner?: { uid: number; gid: number };
  log?: Log;
  /** Whether the folder is somebody else's by now: then nothing in it is written or removed. */
  isHandedOver?: () => boolean;
}

export interface CaDirectory {
  layout: CaLayout;
  /** Brings jobs to disk and syncs them; false when that failed for now (it is retried). */
  apply(jobs: readonly DirectoryJob[]): Promise<boolean>;
  state(): QueueState;
  /**
   * Whether jobs were dropped since it was last asked: then the directory must be compared anew.
   */
  takeDropped(): boolean;
  /** Has `told` called for each file that was written or removed. */
  onProgress(told: () => void): void;
  /** Resolves when all that was given so far is on disk, or has failed once. */
  caughtUp(): Promise<void>;
  idle(): Promise<void>;
}

/** The directory at `options.folder`; its folders are made when they are missing. */
export function createDirectory(options: DirectoryOptions, signal: AbortSignal): CaDirectory {
  const layout = caLayout(options.folder);
  const owned = options.owner === undefined ? {} : { owner: options.owner };
  let inventory: KnownInventory | undefined;
  let tell = (): void => undefined;
  const each = async <T>(items: Iterable<T>, act: (item: T) => Promise<void>) =>
    eachAtOnce([...items], WRITES_AT_ONCE, async (item) => {
      await act(item);
      tell();
    });
  const isOurs = (job: DirectoryJob) =>
    options.isHandedOver?.() !== true ||
    (job.do === "file" && !job.path.startsWith(`${layout.folder}/`));
  const queue: Queue<DirectoryJob> = createQueue(async (all) => {
    const jobs = all.filter(isOurs);
    if (jobs.length === 0) return;
    for (const folder of [layout.signed, layout.requests]) {
      await ensureFolder(folder, { mode: FOLDER_MODE, ...owned });
    }
    const { writes, removes, lines } = combineJobs(jobs);
    const folders = new Set([...writes.keys(), ...removes].map((path) => dirname(path)));
    // One file that can't be written doesn't keep the others from being so.
    await allOf([
      () =>
        each(writes, ([path, content]) =>
          replaceFile(path, content, { ...owned, mode: FILE_MODE }),
        ),
      async () => {
        if (lines === undefined) return;
        inventory = await appendInventory(layout.inventory, inventory, lines, owned);
      },
      () => each(removes, (path) => rm(path, { force: true })),
      () => each(folders, syncFolder),
    ]);
  }, signal);
  return {
    layout,
    apply: async (jobs) => {
      const done = await queue.add(jobs);
      if (!done) options.log?.error("the CA directory lags", { why: queue.state().why ?? "" });
      return done;
    },
    state: () => queue.state(),
    takeDropped: () => queue.takeDropped(),
    onProgress: (told) => (tell = told),
    caughtUp: async () => {
      // Rounds come one after the other, and this job is in none before theirs.
      await queue.add([{ do: "file", path: layout.folder, wanted: () => "unknown" }]);
    },
    idle: () => queue.idle(),
  };
}

/**
 * The file of a name in signed/ or requests/; undefined when it isn't there or the name isn't one.
 */
export async function readNamed(
  layout: CaLayout,
  kind: "signed" | "requests",
  certname: string,
): Promise<string | undefined> {
  if (!isCertname(certname)) return undefined;
  return readIfThere(
    kind === "signed" ? layout.signedFile(certname) : layout.requestFile(certname),
  );
}

/** The serials in the inventory, and how long it was then, in bytes. */
interface KnownInventory {
  serials: Set<Serial>;
  bytes: number;
}

/**
 * Makes the file if need be and adds the lines whose serials it hasn't. Where it isn't as long as
 * when it was `known`, it is read: stock's tools add to it, and somebody may have cut it. A torn
 * last line is ended first then, so that it is just one odd line. Returns what is known now.
 */
async function appendInventory(
  path: string,
  known: KnownInventory | undefined,
  lines: readonly InventoryLine[],
  owned: WriteOptions,
): Promise<KnownInventory> {
  const file = await open(path, "a+", FILE_MODE);
  try {
    const { size } = await file.stat();
    if (size === 0 && owned.owner) await file.chown(owned.owner.uid, owned.owner.gid);
    const isKnown = known !== undefined && known.bytes === size;
    const serials = isKnown ? known.serials : await readSerials(path);
    const bySerial = new Map(lines.map((line) => [line.serial, line]));
    const fresh = [...bySerial.values()].filter(({ serial }) => !serials.has(serial));
    const start = isKnown || !(await isTorn(file, size)) ? "" : "\n";
    const text = Buffer.from(start + fresh.map(renderInventoryLine).join(""));
    try {
      await file.appendFile(text);
      await file.sync();
    } catch (error) {
      // A full disk leaves no half line behind, at which stock's tools would stumble.
      await file.truncate(size);
      throw error;
    }
    for (const { serial } of fresh) serials.add(serial);
    // What another has added meanwhile makes it longer than this, and has it read anew.
    return { serials, bytes: size + text.length };
  } finally {
    await file.close();
  }
}

async function isTorn(file: FileHandle, size: number): Promise<boolean> {
  const last = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
  return last.bytesRead === 1 && last.buffer[0] !== 0x0a;
}

async function readSerials(path: string): Promise<Set<Serial>> {
  const text = (await readIfThere(path)) ?? "";
  return inForeground((next) => serialsIn(text, next));
}

async function ensureFolder(folder: string, options: WriteOptions): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.close();
  } catch (error) {
    if (!isMissing(error)) throw error;
    await makeFolder(folder, options);
  }
}

/** Runs every step, one after the other; rejects with the first failure. */
async function allOf(steps: readonly (() => Promise<void>)[]): Promise<void> {
  await eachAtOnce(steps, 1, (step) => step());
}

/**
 * Runs `act` on every item, so many at a time; rejects with the first failure when all have ended.
 */
export async function eachAtOnce<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) {
      await act(item).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
}
