// Changing the record: one compared transaction at a time, its outcome taken into memory at once.
// The idea: decide from memory, compare the revisions the decision rests on; if one has moved on,
// the failed transaction brings what is there now, and the caller decides anew.

import { Fault, isFault } from "../base/fault.ts";
import { EJECTED_KEY } from "../cluster/keys.ts";
import { monotonicMs } from "../host/clock.ts";
import type { Compare, Etcd, KeyValue, Op, Settle, TxnResult, WatchEvent } from "../etcd/types.ts";
import { refuseEjected } from "./ejected.ts";
import type { Change, Mirror, Touched } from "./mirror.ts";
import { CA_PREFIX } from "./record.ts";

/** How long is waited for an etcd that doesn't answer, in milliseconds. */
export interface Patience {
  /** By the start, before it goes on with what is on disk. */
  startMs: number;
  /** By the start for the whole record, of which the loops read what is left without a limit. */
  startWholeMs: number;
  /** By a read that must be certain. */
  readMs: number;
  /** By a change. An election takes 1 to 2 s. */
  commitMs: number;
}

export const PATIENCE: Patience = {
  startMs: 3000,
  // systemd takes a daemon that isn't ready within 90 s for one that never will be.
  startWholeMs: 40_000,
  readMs: 2000,
  commitMs: 10_000,
};

/** How long a page of the whole record, or of all its keys, may take, in milliseconds. */
export const PAGE_WITHIN_MS = 30_000;

/** How long after a read came to nothing polling ones don't even try, in milliseconds. */
const HOPELESS_MS = 1000;

/** Operations per transaction, reads too; a foreign etcd allows 128 by default. */
const OPS_AT_ONCE = 100;
/** Bytes per transaction; it allows 1.5 MiB, as base64. */
const PUT_BYTES_AT_ONCE = 512 * 1024;

/** What every change compares: so none comes after the cluster's CA has ended. */
const NOT_EJECTED: Compare = { key: EJECTED_KEY, is: "absent" };

export interface Commit {
  when: Compare[];
  then: ({ put: string; value: string } | { delete: string })[];
  settle?: Settle;
}

/**
 * Compares that every change carries besides its own: the generation of the record. Throws when
 * nothing may be changed now.
 */
export type Guard = () => Promise<{ key: string; value: string }[]>;

export type Committed = { ok: true; revision: number; touched: Touched } | { ok: false };

/** A key to put, or with null to delete, if its revision is still `was` (0: it isn't there). */
export interface Put {
  key: string;
  value: string | null;
  was: number;
}

export interface StoreDeps {
  etcd: Etcd;
  mirror: Mirror;
  guard?: Guard;
  /** Told of what a commit or a read brought that memory didn't know. */
  onTouched?: (touched: Touched) => void;
  patience: Patience;
  /** Makes sure that memory is of etcd and not of a disk's; true when it had to be read anew. */
  ensureLoaded?: () => Promise<boolean>;
}

export interface ReadOptions {
  signal?: AbortSignal;
  /** It is one of many alike: give up at once when the last one came to nothing a moment ago. */
  polling?: boolean;
  /** It is a change's first step, so it waits for an election as the change itself does. */
  forChange?: boolean;
}

export interface Store {
  readonly mirror: Mirror;
  /**
   * `ok: false`: a compare failed, and memory has what is there now. Throws Fault `ca.ejected` once
   * the cluster's CA has ended, `etcd.…`.
   */
  commit(commit: Commit, signal?: AbortSignal): Promise<Committed>;
  /** Reads these keys linearizably into memory. Throws Fault `etcd.…` when its patience ends. */
  refresh(keys: readonly string[], options?: ReadOptions): Promise<void>;
  /** Whether memory was of a disk and has been read from etcd just now. Throws Fault `etcd.…`. */
  ensureLoaded(): Promise<boolean>;
  /** Reads all keys with `prefix` into memory. Throws Fault `etcd.…`. */
  reload(prefix: string): Promise<void>;
}

export function createStore(deps: StoreDeps): Store {
  const { etcd, mirror, patience } = deps;
  let hopeless: { untilMs: number; error: unknown } | undefined;
  const take = (changes: Iterable<Change>) => {
    const touched = mirror.apply(changes);
    deps.onTouched?.(touched);
  };
  const takeReads = (keys: readonly string[], { reads, revision }: TxnResult) => {
    // Anybody may ask for names that nobody has: what was and is absent is nothing to remember.
    const isNews = ({ key, value }: Change) => value !== null || mirror.revisionOf(key) !== 0;
    take(changesOf(keys, reads, revision).filter(isNews));
  };
  const ensureLoaded = async () => (await deps.ensureLoaded?.()) === true;
  return {
    mirror,
    ensureLoaded,
    async commit({ when, then, settle }, signal) {
      // Decisions that rest on a disk's memory are taken anew.
      if (await ensureLoaded()) return { ok: false };
      const guard = (await deps.guard?.()) ?? [];
      refuseEjected(mirror.tables.ejected.get(""));
      const all = [...guard, NOT_EJECTED, ...when];
      const keys = [...new Set(all.map(({ key }) => key))];
      const result = await etcd.transact(
        { when: all, then, otherwise: keys.map((key): Op => ({ get: key })) },
        { withinMs: patience.commitMs, ...(settle && { settle }), ...(signal && { signal }) },
      );
      if (!result.ok) {
        refuseOtherGeneration(guard, keys, result);
        takeReads(keys, result);
        refuseEjected(mirror.tables.ejected.get(""));
        return { ok: false };
      }
      const { revision } = result;
      const changes = then.map((op): Change =>
        "put" in op
          ? { key: op.put, value: op.value, modRevision: revision }
          : { key: op.delete, value: null, modRevision: revision },
      );
      return { ok: true, revision, touched: mirror.applyOwn(changes) };
    },
    async refresh(keys, { signal, polling, forChange } = {}) {
      const giveUp = polling === true && monotonicMs() < (hopeless?.untilMs ?? 0);
      if (keys.length > 0 && giveUp) throw hopeless?.error;
      const withinMs = forChange === true ? patience.commitMs : patience.readMs;
      const options = { withinMs, ...(signal && { signal }) };
      try {
        for (let at = 0; at < keys.length; at += OPS_AT_ONCE) {
          const some = keys.slice(at, at + OPS_AT_ONCE);
          const then = some.map((key): Op => ({ get: key }));
          takeReads(some, await etcd.transact({ when: [], then }, options));
          hopeless = undefined;
        }
      } catch (error) {
        if (isUnreachable(error)) hopeless = { untilMs: monotonicMs() + HOPELESS_MS, error };
        throw error;
      }
    },
    async reload(prefix) {
      const { kvs } = await etcd.range(prefix);
      take(kvs);
    },
  };
}

/** A change that failed for the record's generation fails for good. */
function refuseOtherGeneration(
  guard: Awaited<ReturnType<Guard>>,
  keys: readonly string[],
  { reads }: TxnResult,
): void {
  const wrong = guard.find(({ key, value }) => reads[keys.indexOf(key)]?.[0]?.value !== value);
  if (wrong === undefined) return;
  throw new Fault(
    "cluster.other-generation",
    "the record is of another generation than this member: nothing was changed",
    {
      hints: ["The cluster was recovered without it. Join it again: understudy leave, then join."],
    },
  );
}

/** What a transaction read of `keys`; one that isn't there is gone as of `revision`. */
function changesOf(
  keys: readonly string[],
  reads: readonly KeyValue[][],
  revision: number,
): Change[] {
  return keys.map((key, index): Change => {
    const kv = reads[index]?.[0];
    return kv === undefined
      ? { key, value: null, modRevision: revision }
      : { key, value: kv.value, modRevision: kv.modRevision };
  });
}

/**
 * Reads the whole record into `mirror`. Page by page: all of a large fleet's at once would take
 * several times the memory of what is kept of it. Throws Fault `etcd.…`.
 */
export async function readRecord(etcd: Etcd, mirror: Mirror, signal?: AbortSignal): Promise<void> {
  const replacing = mirror.replacing();
  let newest = 0;
  const options = { withinMs: PAGE_WITHIN_MS, ...(signal && { signal }) };
  for await (const { kvs, revision } of etcd.pages(CA_PREFIX, options)) {
    replacing.take(kvs);
    newest = revision;
  }
  replacing.end(newest);
}

/** What a watch tells, as memory takes it. */
export function changeOf({ type, kv }: WatchEvent): Change {
  return { key: kv.key, value: type === "put" ? kv.value : null, modRevision: kv.modRevision };
}

/** The compare that `key` is as memory has it: at this revision, or absent for 0. */
export function unchanged(key: string, modRevision: number): Compare {
  return modRevision === 0 ? { key, is: "absent" } : { key, modRevision };
}

/**
 * Whether `error` says that etcd can't be asked or has no quorum now, so that nothing can be
 * changed.
 */
export function isUnreachable(error: unknown): error is Fault {
  return isFault(error, "etcd");
}

/** Puts them some at a time; those whose compare failed are left, and are in memory as they are. */
export async function putAll(store: Store, puts: readonly Put[]): Promise<void> {
  for (const batch of batchesOf(puts)) {
    const [first] = batch.flatMap(({ key, value }) => (value === null ? [] : [{ key, value }]));
    // A failed compare brings what is there into memory; the next pass plans with it.
    await store.commit({
      when: batch.map(({ key, was }) => unchanged(key, was)),
      then: batch.map(({ key, value }) => (value === null ? { delete: key } : { put: key, value })),
      ...(first === undefined ? {} : { settle: first }),
    });
  }
}

/** `puts` in their order, in transactions that a foreign etcd takes: in keys and in bytes. */
export function batchesOf(puts: readonly Put[]): Put[][] {
  const batches: Put[][] = [];
  let bytes = 0;
  for (const put of puts) {
    const size = put.key.length + (put.value?.length ?? 0);
    const last = batches.at(-1);
    if (last === undefined || last.length === OPS_AT_ONCE || bytes + size > PUT_BYTES_AT_ONCE) {
      batches.push([put]);
      bytes = size;
    } else {
      last.push(put);
      bytes += size;
    }
  }
  return batches;
}
