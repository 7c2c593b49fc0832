// The CA's record as of one revision, read without the daemon, so that a backup can be made while
// that hangs: from etcd, or from this server's own copy where etcd can't be asked or has lost what
// the copy has. The copy is only read; the daemon may be writing it.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault, isFault, messageOf } from "../../base/fault.ts";
import { KEY_PREFIX, META_KEY, SETTINGS_KEY } from "../../cluster/keys.ts";
import { Meta, Settings } from "../../cluster/schema.ts";
import type { Etcd } from "../../etcd/types.ts";
import { isMissing } from "../../host/files.ts";
import { createComparison, judgeOrigin } from "../follow-plan.ts";
import { LOG, readJournal, scanJournal, SNAPSHOT, type JournalEvent } from "../journal-lines.ts";
import { Mirror } from "../mirror.ts";
import { decodeValue } from "../record.ts";

/** How long etcd may take to answer at all, and to tell the whole record. Milliseconds. */
const ANSWER_MS = 10_000;
const READ_MS = 120_000;
/** Looks at a copy that is being folded meanwhile. */
const LOOKS_MAX = 10;

export interface Snapshot {
  mirror: Mirror;
  settings: Settings;
  revision: number;
  source: "etcd" | "copy";
  /** Why it isn't etcd's; empty when it is. */
  because: string;
}

export interface SnapshotOptions {
  etcd: Etcd;
  /** The folder of this server's copy. */
  journal: string;
  member: { clusterId: string; generation: number };
}

/**
 * The record as it is now. Throws Fault `etcd.…` or `ca.record-older` where there is no copy
 * either, `cluster.other-generation`, `cluster.no-record`, `ca.record-unreadable`.
 */
export async function readSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  // The copy first: what it has by then, etcd has too, or has lost.
  const before = await readCopy(options.journal, () => new Origin()).catch((error: unknown) => {
    if (isFault(error, "ca.journal-failed")) return { into: new Origin(), revision: 0 };
    throw error;
  });
  try {
    return await readEtcd(options, { revision: before.revision, meta: before.into.meta });
  } catch (error) {
    const usable = isFault(error, "etcd") || isFault(error, "ca.record-older");
    if (!usable || before.revision === 0) throw error;
    const { into, revision } = await readCopy(options.journal, () => new Gathered());
    return { ...into.done(), revision, source: "copy", because: messageOf(error) };
  }
}

async function readEtcd(
  { etcd, journal, member }: SnapshotOptions,
  copy: { revision: number; meta: string | undefined },
): Promise<Snapshot> {
  // A small read first: whether etcd answers at all is known soon.
  await etcd.get(META_KEY, { withinMs: ANSWER_MS });
  const { kvs, revision } = await etcd.range(KEY_PREFIX, { withinMs: READ_MS });
  const meta = kvs.find(({ key }) => key === META_KEY)?.value;
  const origin = judgeOrigin(member, { revision, meta }, copy);
  refuseFormer(member, meta);
  if (origin.is === "refused") throw older(origin.because);
  if (origin.is === "same" && copy.revision > 0) {
    const { into } = await readCopy(journal, () => new Compared(kvs, revision));
    const because = into.because();
    if (because !== undefined) throw older(because);
  }
  const gathered = new Gathered();
  for (const { key, value, modRevision } of kvs) {
    gathered.take({ key, value, revision: modRevision });
  }
  return { ...gathered.done(), revision, source: "etcd", because: "" };
}

/** A member that a recovery has left behind has a copy of what is history. */
function refuseFormer(member: SnapshotOptions["member"], text: string | undefined): void {
  const meta = text === undefined ? undefined : decodeValue(Meta, META_KEY, text);
  if (meta?.clusterId !== member.clusterId || meta.generation <= member.generation) return;
  throw new Fault(
    "cluster.other-generation",
    `the cluster is of generation ${meta.generation}, this member of ${member.generation}`,
    { hints: ["The cluster was recovered without it. Make the backup on one of its servers."] },
  );
}

/** Takes what a copy tells, in its order. */
interface Taker {
  take(event: JournalEvent): void;
}

/**
 * Has `begin()` take the copy in `folder`, and returns up to which revision. Nothing there is
 * revision 0. Throws Fault `ca.journal-failed` for one that is damaged.
 */
export async function readCopy<T extends Taker>(
  folder: string,
  begin: () => T,
): Promise<{ into: T; revision: number }> {
  const path = join(folder, SNAPSHOT);
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const mark = await markOf(path);
    const into = begin();
    const snapshot = await scanJournal(path);
    if (snapshot.totalBytes > snapshot.goodBytes) {
      throw new Fault("ca.journal-failed", `this server's copy in ${folder} is damaged`);
    }
    const logPath = join(folder, LOG);
    const log = await scanJournal(logPath);
    // A log of a former snapshot is in this one.
    const goesOn = log.base === snapshot.base;
    try {
      for await (const { event } of readJournal(path, snapshot.goodBytes)) into.take(event);
      for await (const { event } of readJournal(logPath, goesOn ? log.goodBytes : 0)) {
        into.take(event);
      }
    } catch (error) {
      // Another snapshot was put there in between.
      if ((await markOf(path)) !== mark) continue;
      throw error;
    }
    // It is emptied only after a new snapshot is there.
    if ((await markOf(path)) !== mark) continue;
    return { into, revision: Math.max(snapshot.revision, goesOn ? log.revision : 0) };
  }
  throw new Fault("ca.busy", `this server's copy in ${folder} changes again and again: try again`);
}

/** What a file that took the place of another has another of. */
async function markOf(path: string): Promise<string> {
  try {
    const { ino, ctimeNs } = await stat(path, { bigint: true });
    return `${ino} ${ctimeNs}`;
  } catch (error) {
    if (isMissing(error)) return "";
    throw error;
  }
}

/** Only whose record it is. */
class Origin implements Taker {
  meta: string | undefined;

  take({ key, value }: JournalEvent): void {
    if (key === META_KEY) this.meta = value ?? undefined;
  }
}

/** What of the copy the record of `revision` has lost. */
class Compared implements Taker {
  readonly #comparison = createComparison();
  readonly #revision: number;

  constructor(record: Iterable<{ key: string; value: string }>, revision: number) {
    for (const entry of record) this.#comparison.there(entry);
    this.#revision = revision;
  }

  take({ key, value, revision }: JournalEvent): void {
    // What came after the reading isn't lost.
    if (value !== null && revision <= this.#revision) this.#comparison.copied({ key, value });
  }

  because(): string | undefined {
    return this.#comparison.because();
  }
}

/** The record in memory. */
class Gathered implements Taker {
  readonly #mirror = new Mirror();
  #settings: string | undefined;

  take({ key, value, revision }: JournalEvent): void {
    if (key === SETTINGS_KEY) this.#settings = value ?? undefined;
    this.#mirror.apply([{ key, value, modRevision: revision }]);
  }

  done(): { mirror: Mirror; settings: Settings } {
    if (this.#settings === undefined) {
      throw new Fault("cluster.no-record", "the record has no cluster in it: nothing was written");
    }
    const settings = decodeValue(Settings, SETTINGS_KEY, this.#settings);
    return { mirror: this.#mirror, settings };
  }
}

function older(because: string): Fault {
  return new Fault("ca.record-older", `etcd has lost a part of the record: ${because}`);
}
