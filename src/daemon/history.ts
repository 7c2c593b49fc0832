// The history as the daemon keeps it: what changed between two looks, what loops and commands say
// of themselves, on this member's disk at once and in the record when that answers. Nothing waits
// for it: telling never throws, and a record without quorum only means that it is sent later.

import type { Audit } from "../api/audit.ts";
import { tellDeed } from "../api/told.ts";
import type { Act } from "../base/acts.ts";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import { pause } from "../base/retry.ts";
import {
  type Draft,
  entryKey,
  entryOf,
  type HistoryEntry,
  inOrder,
} from "../cluster/history/entry.ts";
import { eventOf } from "../cluster/history/events.ts";
import { type Evidence, EVIDENCE_MAX, type EvidenceWish } from "../cluster/history/evidence.ts";
import { type Facts, type FactSources, gatherFacts, keepFacts } from "../cluster/history/facts.ts";
import { type Change, createLimiter } from "../cluster/history/limit.ts";
import { openOwnFile, type OwnFile } from "../cluster/history/own-file.ts";
import { planHistory } from "../cluster/history/plan.ts";
import {
  AHEAD_MS,
  type HistoryQuery,
  isWanted,
  PRUNE_MAX,
  pruneEntries,
  readEntries,
  sendEntries,
} from "../cluster/history/shared.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { VERSION } from "../version.ts";

const LOOK_TICK_MS = 5000;
/** How soon a change is seen that needs only to be looked at. */
const HINT_TICK_MS = 1000;
const SEND_TICK_MS = 5000;
const PRUNE_EVERY_MS = 600_000;
/** The record is asked so long before this member's own entries are all there is. */
const READ_MS = 3000;
/** Entries that wait for the first who listens. */
const EARLY_MAX = 20;
/** What a stopping daemon gives its last entry to come to the disk. */
const CLOSE_MS = 1000;

/** Something that a loop or a command says of itself. */
export type Note = Omit<Draft, "atMs">;

/** What was found of the history, and where. */
export interface HistoryFound {
  entries: HistoryEntry[];
  /** How many older ones there would be. */
  more: number;
  /** Why this is only what this member has told itself; empty: it is the cluster's. */
  because: string;
}

export interface History {
  /** Tells something. Never throws, never waits. */
  note(note: Note): void;
  /**
   * Has `listener` hear of each entry of this member as it is told, the first one also of those
   * that were told before, as the start is; it must not throw.
   */
  onEntry(listener: (entry: HistoryEntry) => void): void;
  /** This member's own entries, oldest first. */
  own(): readonly HistoryEntry[];
  /** The cluster's; this member's own where the record can't be read. */
  read(query: HistoryQuery): Promise<HistoryFound>;
  /** What this member can show of a time; `acts`: what its loops planned. */
  evidence(wish: EvidenceWish, acts: Act[]): Evidence;
  /** How many wait to come into the record. */
  waiting(): number;
  /** Starts looking and sending. */
  start(sources: HistorySources): Loop[];
  /** Tells that the daemon stops, and waits a moment until that is on disk. */
  close(): Promise<void>;
}

/** Where it looks. */
export interface HistorySources {
  /** Whether every loop has looked once: until then nothing is known that could have changed. */
  ready(): boolean;
  look(): Promise<Omit<FactSources, "view">>;
  /** Whether this member runs the cluster's chores now. */
  leads(): boolean;
  /** Whether this member's clock is about as most others' are: what is old goes by it. */
  clockIsRight(): boolean;
  /** What is cheap to ask; whenever it is another, it looks. */
  hint(): string;
}

/** So many starts and stops are told within RESTARTS_MS; further ones aren't. */
const RESTARTS_MAX = 8;
const RESTARTS_MS = 600_000;

/** What the API's calls tell it. */
export function auditToHistory(history: Pick<History, "note">): Audit {
  return {
    note(entry) {
      const told = tellDeed(entry);
      if (told !== undefined) history.note(told);
    },
  };
}

export interface HistoryHost {
  id: string;
  folder: string;
  etcd: Etcd;
  keeper: Pick<ViewKeeper, "current" | "record" | "onChange">;
  log: Log;
  signal: AbortSignal;
}

export async function openHistory(host: HistoryHost): Promise<History> {
  const { id, etcd, keeper, log } = host;
  const file = await openOwnFile(host.folder, log);
  const limiter = createLimiter();
  const listeners: ((entry: HistoryEntry) => void)[] = [];
  /** What was told before anybody could hear it. */
  let early: HistoryEntry[] = [];
  const keep = (drafts: readonly Draft[]) => {
    for (const draft of drafts) {
      const entry = entryOf(draft, { member: id, number: file.nextNumber() });
      file.add(entry);
      logEntry(log, entry);
      if (listeners.length === 0) early = [...early, entry].slice(-EARLY_MAX);
      for (const listener of listeners) listener(entry);
    }
  };
  const tell = (changes: readonly Change[]) => keep(limiter.take(changes, monotonicMs()));
  const note = (told: Note) => {
    const draft = { ...told, atMs: wallMs() };
    // Whoever it is has one limit, wherever he comes from.
    const [who = ""] = (told.by ?? "").split(" from ");
    const subject = `${told.kind} ${who}`;
    // Hooks run on every event: what they come to must not leave other things untold.
    tell([{ subject, draft, ...(told.kind !== "hook" && { deed: true as const }) }]);
  };
  const unsent = () => file.entries().filter(({ number }) => number > file.sent());
  const send = async () => {
    const view = keeper.current();
    if (view === undefined || view.metaText === "" || !keeper.record().reachable) return;
    for (let left = unsent(); left.length > 0; left = unsent()) {
      file.setSent(await sendEntries(etcd, view.metaText, left));
    }
  };
  let clockIsRight = () => true;
  const start = decideStart(file.entries(), id, wallMs());
  if (start !== undefined) note(start);
  return {
    note,
    onEntry(listener) {
      listeners.push(listener);
      for (const entry of early) listener(entry);
      early = [];
    },
    own: () => file.entries(),
    waiting: () => unsent().length,
    evidence({ sinceMs, untilMs }, acts) {
      const all = file.entries().filter((entry) => isWanted(entry, { sinceMs, untilMs }));
      const entries = all.slice(-EVIDENCE_MAX);
      const leftOut = all.length - entries.length;
      return { member: id, wallMs: wallMs(), entries, leftOut, acts };
    },
    async read(query) {
      // What is dated far ahead was told by a clock that was wrong, unless this one is.
      const newestMs = clockIsRight() ? wallMs() + AHEAD_MS : undefined;
      const upTo = { ...query, untilMs: query.untilMs ?? newestMs };
      return readBoth(etcd, upTo, file.entries(), unsent());
    },
    start(sources) {
      clockIsRight = () => sources.clockIsRight();
      return [...startLooking(host, sources, file, tell), startSending(host, sources, send)];
    },
    async close() {
      keep(limiter.end(monotonicMs()));
      if (start !== undefined) note({ kind: "daemon", what: `${id}'s daemon stops` });
      const sent = file.written().then(async () => send().catch(() => undefined));
      await Promise.race([sent, pause(CLOSE_MS)]);
    },
  };
}

/** In the journal, by the event's own id; commands are there already, with more of them. */
function logEntry(log: Log, entry: HistoryEntry): void {
  if (entry.kind === "command") return;
  const { member, subject = member, what, because, by } = entry;
  log.notice(what, { event: eventOf(entry), subject, because, by });
}

/** The loops that look, and tell what has changed. */
function startLooking(
  { id, keeper, log, signal }: HistoryHost,
  sources: HistorySources,
  file: OwnFile,
  tell: (changes: readonly Change[]) => void,
): Loop[] {
  const lookLoop = startLoop({
    name: "history",
    everyMs: LOOK_TICK_MS,
    log,
    signal,
    body: async () => {
      if (!sources.ready()) return;
      const before = file.facts();
      const now = gatherFacts({ ...(await sources.look()), view: keeper.current() }, before);
      tell(planHistory(before, now, id, wallMs()));
      const after = keepFacts(before, now);
      if (statesOf(after) !== statesOf(before)) file.setFacts(after);
    },
  });
  keeper.onChange(() => lookLoop.wake());
  let hint = "";
  const hintLoop = startLoop({
    name: "history's hints",
    everyMs: HINT_TICK_MS,
    log,
    signal,
    body: async () => {
      const now = sources.hint();
      if (now !== hint) lookLoop.wake();
      hint = now;
    },
  });
  return [lookLoop, hintLoop];
}

function startSending(
  { etcd, log, signal }: HistoryHost,
  sources: HistorySources,
  send: () => Promise<void>,
): Loop {
  const prune = createPruning(etcd, () => sources.leads() && sources.clockIsRight());
  return startLoop({
    name: "history to the record",
    everyMs: SEND_TICK_MS,
    log,
    signal,
    body: async () => {
      await send();
      await prune();
    },
  });
}

/** The record's entries with what this member hasn't sent yet; without it, this member's own. */
async function readBoth(
  etcd: Etcd,
  query: HistoryQuery,
  own: readonly HistoryEntry[],
  unsent: readonly HistoryEntry[],
): Promise<HistoryFound> {
  try {
    const { entries, more } = await readEntries(etcd, query, { withinMs: READ_MS });
    // One that was sent meanwhile is there twice.
    const all = new Map(
      [...entries, ...unsent.filter((each) => isWanted(each, query))].map((each) => [
        entryKey(each),
        each,
      ]),
    );
    const sorted = [...all.values()].toSorted(inOrder);
    const surplus = Math.max(0, sorted.length - query.limit);
    return { entries: sorted.slice(-query.limit), more: more + surplus, because: "" };
  } catch (error) {
    const mine = own.filter((each) => isWanted(each, query)).toSorted(inOrder);
    const more = Math.max(0, mine.length - query.limit);
    return { entries: mine.slice(-query.limit), more, because: messageOf(error) };
  }
}

/** Prunes from time to time, on the member that leads; a lead that is new does so at once. */
function createPruning(etcd: Etcd, leads: () => boolean): () => Promise<void> {
  let prunedMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (!leads()) prunedMs = Number.NEGATIVE_INFINITY;
    else if (monotonicMs() - prunedMs >= PRUNE_EVERY_MS) {
      // What is left of a large surplus goes in the next round.
      if ((await pruneEntries(etcd, wallMs())) < PRUNE_MAX) prunedMs = monotonicMs();
    }
  };
}

/**
 * What is told of a daemon's start; nothing where it starts again and again, which the entry before
 * has said. `own`: what it told before.
 */
export function decideStart(
  own: readonly HistoryEntry[],
  id: string,
  nowMs: number,
): Note | undefined {
  const lives = own.filter(({ kind, member }) => kind === "daemon" && member === id);
  const lately = lives.filter(({ atMs }) => Math.abs(nowMs - atMs) < RESTARTS_MS).length;
  if (lately >= RESTARTS_MAX) return undefined;
  const last = lives.at(-1)?.what ?? "";
  const reasons = [
    ...(last.includes(STARTS)
      ? ["the one before ended without a word: killed, or its server lost power"]
      : []),
    ...(lately === RESTARTS_MAX - 1 ? ["further starts aren't told for ten minutes"] : []),
  ];
  return {
    kind: "daemon",
    what: `${id}'s daemon ${STARTS} (${VERSION})`,
    because: reasons.join("; "),
  };
}

const STARTS = "starts";

/** The states alone: why they are so may change at every look. */
function statesOf(facts: Facts): string {
  return JSON.stringify(Object.entries(facts).map(([subject, { state }]) => [subject, state]));
}
