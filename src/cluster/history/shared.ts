// The history in the record: entries by time, and beside them what was last seen of each subject,
// so that what all members see is told by the first. Danger: an entry that is sent late must not be
// taken for news: it is compared with what was seen at its own time.

import { z } from "zod";
import { Fault } from "../../base/fault.ts";
import type { CallOptions, Compare, Etcd, KeyValue, Op, RangeOptions } from "../../etcd/types.ts";
import { HISTORY_PREFIX, META_KEY } from "../keys.ts";
import { conflict, CONFLICT_TRIES_MAX } from "../record.ts";
import {
  Burst,
  ENTRIES_MAX,
  ENTRIES_PREFIX,
  entryKey,
  HistoryEntry,
  timeKey,
  timeOfKey,
} from "./entry.ts";
import { tellCrl } from "./plan.ts";

/** How long the record keeps entries. */
export const ENTRIES_AGE_MS = 400 * 86_400_000;

/** What is dated further ahead than this was told by a clock that was wrong. */
export const AHEAD_MS = 86_400_000;

const SEEN_PREFIX = `${HISTORY_PREFIX}seen/`;
/**
 * The same state of the same thing within so long is one event: looks and clocks differ. More would
 * take the next time that it comes to be so for the first.
 */
const SAME_MS = 30_000;
/** Parts of one burst begin within so long: it is cut after five minutes, at whatever CRL it is. */
const SAME_BURST_MS = 600_000;
/** How many states are remembered of a subject (more than are told in a day), and for how long. */
const SIGHTS_MAX = 64;
const SIGHT_AGE_MS = 30 * 86_400_000;
/** etcd takes 128 operations in one transaction; each entry is two at most. */
const BATCH_MAX = 40;
const DELETES_MAX = 100;
/** How many are deleted at one go. */
export const PRUNE_MAX = 2000;
const WITHIN_MS = 5000;

/** Of a burst, also what of it the record has: from its first CRL up to `state`. */
const Sights = z.array(z.object({ state: z.string(), atMs: z.number(), burst: Burst.optional() }));
type Sights = z.infer<typeof Sights>;

/** What the record says was seen of each subject, and the revision to compare. */
type Seen = Map<string, { sights: Sights; modRevision: number | undefined }>;

/**
 * Puts entries into the record, oldest first; what others have told already is left out. Returns
 * the number up to which they are settled then. `metaText`: as it stands in the record. Throws
 * Fault `etcd.…`, `cluster.conflict`, `cluster.other-generation`.
 */
export async function sendEntries(
  etcd: Etcd,
  metaText: string,
  entries: readonly HistoryEntry[],
): Promise<number> {
  const batch = entries.slice(0, BATCH_MAX);
  const last = batch.at(-1);
  if (last === undefined) return 0;
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries += 1) {
    const seen = batch.some((entry) => entry.seen !== undefined) ? await readSeen(etcd) : new Map();
    const { when, then } = planSend(batch, seen);
    if (then.length === 0) return last.number;
    // Entries are put at keys of their own, so that a repeat changes nothing.
    const done = await etcd.transact(
      {
        when: [{ key: META_KEY, value: metaText }, ...when],
        then,
        otherwise: [{ get: META_KEY }],
      },
      { withinMs: WITHIN_MS },
    );
    if (done.ok) return last.number;
    if (done.reads[0]?.[0]?.value !== metaText) {
      throw new Fault("cluster.other-generation", "the record isn't the one of this member's view");
    }
  }
  throw conflict(SEEN_PREFIX);
}

/** What puts `batch` into a record where `seen` was seen. */
export function planSend(
  batch: readonly HistoryEntry[],
  seen: Seen,
): { when: Compare[]; then: Op[] } {
  const puts: Op[] = [];
  const touched = new Map<string, Sights>();
  for (const whole of batch) {
    let entry = whole;
    if (whole.seen !== undefined) {
      const { subject, state } = whole.seen;
      const sights = touched.get(subject) ?? seen.get(subject)?.sights ?? [];
      const news = isToldBy(sights, state, whole.atMs) ? undefined : newsOf(whole, sights);
      if (news === undefined) continue;
      entry = news;
      const { atMs, burst } = entry;
      const sight = { state, atMs, ...(burst && { burst }) };
      const all = [...sights, sight].toSorted((a, b) => a.atMs - b.atMs);
      touched.set(subject, all.slice(-SIGHTS_MAX));
    }
    puts.push({ put: entryKey(entry), value: JSON.stringify(entry) });
  }
  const subjects = [...touched.keys()];
  return {
    when: subjects.map((subject) => {
      const modRevision = seen.get(subject)?.modRevision;
      const key = seenKey(subject);
      return modRevision === undefined ? { key, is: "absent" } : { key, modRevision };
    }),
    then: [
      ...puts,
      ...subjects.map((subject) => ({
        put: seenKey(subject),
        value: JSON.stringify(touched.get(subject)),
      })),
    ],
  };
}

/**
 * Whether another has told that a subject came to `state` then. What lies between two sights of the
 * same state is a change of its own.
 */
function isToldBy(sights: Sights, state: string, atMs: number): boolean {
  const before = sights.findLast((sight) => sight.atMs <= atMs);
  const after = sights.find((sight) => sight.atMs > atMs);
  return [before, after].some((one) => one?.state === state && Math.abs(one.atMs - atMs) < SAME_MS);
}

/**
 * What of an entry nobody has told; undefined: nothing. Members cut a long burst at CRLs of their
 * own, so the parts of one may reach into those of another.
 */
function newsOf(entry: HistoryEntry, sights: Sights): HistoryEntry | undefined {
  const { burst, atMs } = entry;
  if (burst === undefined) return entry;
  // A CA that was put back counts its CRLs anew: what was told long before is of others.
  const told = sights.flatMap((sight) =>
    sight.burst !== undefined && Math.abs(sight.atMs - atMs) < SAME_BURST_MS ? [sight.burst] : [],
  );
  let rest = burst;
  for (let steps = 0; steps <= told.length; steps += 1) {
    const { first } = rest;
    const by = told.find((one) => one.first <= first && first <= one.last);
    if (by === undefined) break;
    const revoked = Math.max(0, burst.total - by.total);
    rest = { ...burst, first: by.last + 1, revoked };
  }
  if (rest.first > rest.last) return undefined;
  return rest === burst ? entry : { ...entry, ...tellCrl(rest) };
}

export interface HistoryQuery {
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
  kinds?: readonly string[] | undefined;
  /** The newest so many. */
  limit: number;
}

/**
 * What the record has, oldest first, and how many more there would be. The deadline of `options` is
 * that of each page: ten thousand take a busy etcd seconds. Throws Fault `etcd.…`.
 */
export async function readEntries(
  etcd: Etcd,
  query: HistoryQuery,
  options: CallOptions = {},
): Promise<{ entries: HistoryEntry[]; more: number }> {
  const { sinceMs, untilMs = Number.POSITIVE_INFINITY, limit } = query;
  const from = sinceMs === undefined ? {} : { from: timeKey(sinceMs) };
  const wanted = (entry: HistoryEntry) => isWanted(entry, query);
  if (query.kinds === undefined) {
    // Keys alone are small: only the values that are shown are read.
    const bare = await readAll(etcd, { ...options, ...from, keysOnly: true });
    const keys = bare.kvs.map(({ key }) => key).filter((key) => !(timeOfKey(key) > untilMs));
    const [first] = keys.slice(-limit);
    if (first === undefined) return { entries: [], more: 0 };
    const count = Math.min(limit, keys.length);
    const page = { ...options, from: first, limit: count, revision: bare.revision };
    const { kvs } = await readAll(etcd, page);
    return { entries: kvs.flatMap(readEntry).filter(wanted), more: keys.length - count };
  }
  const found: HistoryEntry[] = [];
  let more = 0;
  for await (const { kvs } of etcd.pages(ENTRIES_PREFIX, { ...options, ...from })) {
    found.push(...kvs.flatMap(readEntry).filter(wanted));
    more += Math.max(0, found.length - limit);
    found.splice(0, Math.max(0, found.length - limit));
  }
  return { entries: found, more };
}

async function readAll(etcd: Etcd, options: RangeOptions) {
  const all = { revision: 0, kvs: [] as KeyValue[] };
  for await (const { revision, kvs } of etcd.pages(ENTRIES_PREFIX, options)) {
    all.revision = revision;
    all.kvs.push(...kvs);
  }
  return all;
}

/** Whether an entry is one of those that are asked for. */
export function isWanted(
  { atMs, kind }: HistoryEntry,
  { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, kinds }: Omit<HistoryQuery, "limit">,
): boolean {
  return atMs >= sinceMs && atMs <= untilMs && (kinds === undefined || kinds.includes(kind));
}

/** Deletes what is too much or too old, a bounded part of it. Returns how many. Leader's chore. */
export async function pruneEntries(etcd: Etcd, nowMs: number): Promise<number> {
  const { kvs } = await etcd.range(ENTRIES_PREFIX, { keysOnly: true });
  const doomed = planPrune(
    kvs.map(({ key }) => key),
    nowMs,
  );
  for (let at = 0; at < doomed.length; at += DELETES_MAX) {
    const then = doomed.slice(at, at + DELETES_MAX).map((key) => ({ delete: key }));
    await etcd.transact({ when: [], then });
  }
  await pruneSeen(etcd, nowMs);
  return doomed.length;
}

/**
 * The keys that go, oldest first. `keys` are in order. What a clock that was wrong has dated far
 * ahead would else be the newest for years, and push out what is so.
 */
export function planPrune(
  keys: readonly string[],
  nowMs: number,
  { most = ENTRIES_MAX, ageMs = ENTRIES_AGE_MS }: { most?: number; ageMs?: number } = {},
): string[] {
  const isAhead = (key: string) => timeOfKey(key) > nowMs + AHEAD_MS;
  const ahead = keys.filter(isAhead);
  // Where most is dated ahead, it is rather this clock that is behind, and nobody says so.
  const wrong = new Set(ahead.length * 2 < keys.length ? ahead : []);
  const surplus = Math.max(0, keys.length - wrong.size - most);
  const doomed = keys.filter(
    (key, index) => index < surplus || timeOfKey(key) < nowMs - ageMs || wrong.has(key),
  );
  return doomed.slice(0, PRUNE_MAX);
}

/** Forgets subjects of which nothing was seen for long: late senders have told it by then. */
async function pruneSeen(etcd: Etcd, nowMs: number): Promise<void> {
  for (const [subject, { sights, modRevision }] of await readSeen(etcd)) {
    const newestMs = sights.at(-1)?.atMs ?? 0;
    if (modRevision === undefined || nowMs - newestMs < SIGHT_AGE_MS) continue;
    const key = seenKey(subject);
    await etcd.transact({ when: [{ key, modRevision }], then: [{ delete: key }] });
  }
}

async function readSeen(etcd: Etcd): Promise<Seen> {
  const { kvs } = await etcd.range(SEEN_PREFIX, { withinMs: WITHIN_MS });
  return new Map(kvs.map((kv) => [kv.key.slice(SEEN_PREFIX.length), readSights(kv)]));
}

function readSights({ value, modRevision }: KeyValue) {
  const parsed = Sights.safeParse(parseJson(value));
  return { sights: parsed.success ? parsed.data : [], modRevision };
}

/** What can't be read here may be a newer version's: left out. */
function readEntry({ value }: KeyValue): HistoryEntry[] {
  const parsed = HistoryEntry.safeParse(parseJson(value));
  return parsed.success ? [parsed.data] : [];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const seenKey = (subject: string) => `${SEEN_PREFIX}${subject}`;
