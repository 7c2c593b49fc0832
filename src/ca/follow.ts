// Keeps this server's copy of the record in step with etcd, and knows whether etcd's record still
// is the one that the copy follows. The idea: before anything is rewritten or appended it is
// compared; a watch that was lost, and a daemon that was, go on where they ended.

import { Fault, isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause, until } from "../base/retry.ts";
import { KEY_PREFIX, META_KEY } from "../cluster/keys.ts";
import type { Etcd, WatchEvent } from "../etcd/types.ts";
import { createComparison, judgeOrigin, pauseAfter, type RecordFacts } from "./follow-plan.ts";
import { recordOlder } from "./follow-plan.ts";
import { findChange } from "./history.ts";
import type { Journal, JournalEvent } from "./journal.ts";

/** How long an answer of etcd, and each page of the record, may take, milliseconds. */
const READ_MS = 30_000;
/** How long a change waits for the comparison, milliseconds. */
const TRUST_MS = 3000;
const TRUST_POLL_MS = 20;

export interface FollowOptions {
  etcd: Etcd;
  journal: Journal;
  /** The cluster and generation that this member belongs to. */
  member: { clusterId: string; generation: number };
  /** Told when the copy has come further, or counts again. */
  onApplied: () => void;
  log: Log;
  signal: AbortSignal;
}

export interface Follower {
  /**
   * Resolves when etcd's record is known to be the one that the copy follows. Throws Fault
   * `ca.record-older`, or why that can't be found out now.
   */
  trust(): Promise<void>;
  /**
   * Whether the copy is of etcd's record, as far as is known now: not while one of a generation
   * that has ended, whose revisions say nothing here, waits for being replaced.
   */
  isSame(): boolean;
  /** The same for others to hear; `because`: what etcd's record lacks. */
  verdict(): { state: State["verdict"]; because: string };
  /** What is wrong with the copy, a whole sentence; empty when nothing is. */
  problem(): string;
  ended: Promise<void>;
}

interface State {
  /** Whether etcd's record is the one that the copy follows. */
  verdict: "unknown" | "same" | "refused";
  /** Why it was refused last. */
  because: string;
  /** Why the copy doesn't follow now. */
  error: unknown;
  /** Whether the copy is of another record until it is replaced. */
  isOther: boolean;
  /** Whether all must be read and compared. */
  whole: boolean;
  /** Whether the copy was found to follow this record since the start. */
  begun: boolean;
}

/** Starts following; ends with `signal`. */
export function startFollower(options: FollowOptions): Follower {
  const { journal, log, signal } = options;
  const state: State = {
    verdict: "unknown",
    because: "",
    error: new Fault("ca.busy", "the record is being compared with this server's copy: try again"),
    isOther: false,
    whole: false,
    begun: false,
  };
  const go = async () => {
    let waitedMs = 0;
    while (!signal.aborted) {
      const from = journal.appliedRevision();
      try {
        await followOnce(options, state);
      } catch (error) {
        const why = messageOf(error);
        if (why !== messageOf(state.error)) log.warn("the copy doesn't follow the record", { why });
        state.error = error;
        const disk = isFault(error, "ca.journal-full") || isFault(error, "ca.journal-failed");
        // A log that failed goes on only from a new snapshot.
        if (disk) state.whole = true;
        const slow = disk || state.verdict === "refused";
        waitedMs = pauseAfter(slow, journal.appliedRevision() > from ? 0 : waitedMs);
        await pause(waitedMs, signal);
      }
    }
  };
  return {
    ended: go(),
    isSame: () => state.verdict === "same" && !state.isOther,
    verdict: () => {
      return { state: state.verdict, because: state.verdict === "refused" ? state.because : "" };
    },
    problem: () => describe(state),
    async trust() {
      const settled = () => state.verdict !== "unknown" || signal.aborted;
      await until("", settled, { withinMs: TRUST_MS, everyMs: TRUST_POLL_MS }).catch(
        () => undefined,
      );
      if (state.verdict === "same") return;
      throw state.error instanceof Fault ? state.error : unreachable(messageOf(state.error));
    },
  };
}

function unreachable(why: string): Fault {
  return new Fault("etcd.unreachable", `the record can't be compared with its copy now: ${why}`);
}

function describe({ verdict, error }: State): string {
  if (error === undefined) return "";
  const what = verdict === "refused" ? "is kept as it is" : "of the record is behind";
  return `its durable copy ${what}: ${messageOf(error)}`;
}

/** Compares, catches up, then follows; returns when the signal aborted, throws what ended it. */
async function followOnce(options: FollowOptions, state: State): Promise<void> {
  const newest = options.journal.newest();
  if (state.whole || newest === undefined || !(await goesOn(options, state, newest))) {
    await takeWhole(options, state);
  }
  state.whole = false;
  state.begun = true;
  state.verdict = "same";
  state.error = undefined;
  options.onApplied();
  await watchOn(options, state);
}

/**
 * Whether etcd's history has the copy's newest change, so that the next ones are what follows.
 * False when that can't be told any more, or, at a start, may be a matter of generations.
 */
async function goesOn(
  options: FollowOptions,
  state: State,
  newest: JournalEvent,
): Promise<boolean> {
  const { etcd, journal, member, signal } = options;
  const copy = { revision: journal.appliedRevision(), meta: undefined };
  const origin = judgeOrigin(member, await readOrigin(options), copy);
  if (origin.is === "refused") {
    if (!state.begun) return false;
    throw refuse(state, origin.because);
  }
  const found = await findChange(etcd, newest, { withinMs: READ_MS, signal });
  if (found !== "other") return found === "there";
  if (!state.begun) return false;
  throw refuse(state, `etcd's has another change at revision ${newest.revision}`);
}

/** How far etcd's record has come, and whose it is. */
async function readOrigin({ etcd, signal }: FollowOptions): Promise<RecordFacts> {
  const read = { when: [], then: [{ get: META_KEY }] };
  const { revision, reads } = await etcd.transact(read, { withinMs: READ_MS, signal });
  return { revision, meta: reads[0]?.[0]?.value };
}

/**
 * Replaces the copy by the whole record, unless that would lose what only the copy has. The record
 * is read twice rather than kept: it may be larger than memory should be.
 */
async function takeWhole(options: FollowOptions, state: State): Promise<void> {
  const { etcd, journal, signal } = options;
  const record = await compareWhole(options, state);
  state.verdict = "same";
  const events = async function* (): AsyncGenerator<JournalEvent> {
    const past = { revision: record.revision, withinMs: READ_MS, signal };
    for await (const { kvs } of etcd.pages(KEY_PREFIX, past)) {
      for (const { key, value, modRevision } of kvs) yield { key, value, revision: modRevision };
    }
  };
  await journal.rewrite(events(), record.revision);
  state.isOther = false;
}

/** The record that may take the copy's place. Throws Fault `ca.record-older`. */
async function compareWhole(options: FollowOptions, state: State): Promise<RecordFacts> {
  const { etcd, journal, member, signal } = options;
  if (journal.appliedRevision() === 0) {
    // Nothing to be lost: of a large fleet's record the first reading takes half of the time.
    const record = await readOrigin(options);
    const origin = judgeOrigin(member, record, { revision: 0, meta: undefined });
    if (origin.is === "refused") throw refuse(state, origin.because);
    return record;
  }
  const comparison = createComparison();
  const record: RecordFacts = { revision: 0, meta: undefined };
  for await (const { kvs, revision } of etcd.pages(KEY_PREFIX, { withinMs: READ_MS, signal })) {
    record.revision = revision;
    for (const kv of kvs) {
      comparison.there(kv);
      if (kv.key === META_KEY) record.meta = kv.value;
    }
  }
  const copy: RecordFacts = { revision: journal.appliedRevision(), meta: undefined };
  for await (const event of journal.replay()) {
    comparison.copied(event);
    if (event.key === META_KEY) copy.meta = event.value;
  }
  const origin = judgeOrigin(member, record, copy);
  if (origin.is === "refused") throw refuse(state, origin.because);
  state.isOther = origin.is === "newer";
  const because = origin.is === "same" ? comparison.because() : undefined;
  if (because !== undefined) throw refuse(state, because);
  return record;
}

/** Appends what the watch tells, until it or an append fails, or the signal aborts. */
async function watchOn(options: FollowOptions, state: State): Promise<void> {
  const { etcd, journal, signal } = options;
  const over = new AbortController();
  let chain = Promise.resolve();
  const why = await new Promise<unknown>((resolve) => {
    const append = async (batch: WatchEvent[], upTo: number) => {
      // After one that failed, a later one would leave a gap.
      if (over.signal.aborted) return;
      const events = batch.map(toJournal);
      await journal.append(events, upTo).catch((error: unknown) => {
        over.abort();
        resolve(error);
        throw error;
      });
      options.onApplied();
    };
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    etcd.watch(KEY_PREFIX, {
      fromRevision: journal.appliedRevision() + 1,
      signal: AbortSignal.any([signal, over.signal]),
      onEvents: (batch, upTo) => {
        chain = chain.then(async () => append(batch, upTo)).catch(() => undefined);
      },
      onLost: (because, compacted) => {
        if (compacted) state.whole = true;
        // Another etcd may answer next.
        state.verdict = "unknown";
        resolve(new Error(because));
      },
    });
  });
  over.abort();
  await chain;
  if (why !== undefined) throw why;
}

function refuse(state: State, because: string): Fault {
  state.verdict = "refused";
  state.because = because;
  return recordOlder(because);
}

function toJournal({ type, kv }: WatchEvent): JournalEvent {
  return { key: kv.key, value: type === "delete" ? null : kv.value, revision: kv.modRevision };
}
