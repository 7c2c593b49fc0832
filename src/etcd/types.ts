// What etcd looks like to the rest of Understudy. Keys and values are UTF-8 text, revisions are
// numbers (2^53 of them last longer than any cluster), ids of leases and members stay text because
// they use all 64 bits. Danger: any error but a failed compare means "the record is unknown".

import type { Log } from "../base/log.ts";

export interface KeyValue {
  key: string;
  value: string;
  createRevision: number;
  modRevision: number;
  /** How often the key was written since it was created; 0 in a delete event. */
  version: number;
  /** Decimal id of the lease it hangs on, "0" for none. */
  lease: string;
}

export type Compare =
  | { key: string; is: "absent" }
  | { key: string; is: "present" }
  | { key: string; modRevision: number }
  | { key: string; createRevision: number }
  | { key: string; value: string };

export type Op =
  | { put: string; value: string; lease?: string }
  | { delete: string }
  | { deletePrefix: string }
  | { get: string }
  /** All keys with this prefix. */
  | { range: string };

export interface Txn {
  /** All must hold for `then`; an empty list always holds. */
  when: Compare[];
  then: Op[];
  otherwise?: Op[];
}

export interface TxnResult {
  /** Whether the compares held, so that `then` was applied. */
  ok: boolean;
  revision: number;
  /** One list per get or range of the branch taken, in order; empty when `settled`. */
  reads: KeyValue[][];
  /** The answer was lost, and re-reading `settle.key` showed that the transaction was applied. */
  settled?: true;
}

/** How to find out whether a transaction whose answer was lost was applied. */
export interface Settle {
  /** A key that `then` puts, and that nobody deletes within seconds. */
  key: string;
  /** What `then` puts there; unique to this transaction (carry a random id in it). */
  value: string;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Milliseconds for the whole call with all its retries. Default 5,000. */
  withinMs?: number;
}

export interface GetOptions extends CallOptions {
  /** Any member's own view, perhaps stale, also without quorum. Default false: linearizable. */
  serializable?: boolean;
}

export interface RangeOptions extends GetOptions {
  /** Read the past as of this revision. */
  revision?: number;
  keysOnly?: boolean;
  /** Leave out what comes before this key, which has the prefix. */
  from?: string;
  /** At most so many keys in total. */
  limit?: number;
}

export interface WatchEvent {
  type: "put" | "delete";
  /** For a delete only `key` and `modRevision` say something. */
  kv: KeyValue;
}

export interface WatchOptions {
  /** The first revision to hear of: that of the last read, plus one. */
  fromRevision: number;
  /** `revision`: everything up to it has been told of. */
  onEvents(events: WatchEvent[], revision: number): void;
  /**
   * Called once, and nothing after it. `compacted`: `fromRevision` is history no more, read anew.
   */
  onLost(why: string, compacted: boolean): void;
  /** Silence after which the watch is lost, milliseconds. Default: longer than etcd's own. */
  quietMs?: number;
  signal: AbortSignal;
}

export interface EtcdMember {
  id: string;
  /** Empty until the member has started for the first time. */
  name: string;
  peerUrls: string[];
  clientUrls: string[];
  learner: boolean;
}

export interface MemberStatus {
  endpoint: string;
  clusterId: string;
  memberId: string;
  /** "0" when the member knows no leader. */
  leaderId: string;
  version: string;
  dbSizeBytes: number;
  dbSizeInUseBytes: number;
  revision: number;
  raftIndex: number;
  raftAppliedIndex: number;
  raftTerm: number;
  learner: boolean;
  errors: string[];
}

export interface Alarm {
  memberId: string;
  alarm: "NOSPACE" | "CORRUPT";
}

export interface Etcd {
  /** The key's value, or undefined when it isn't there. */
  get(key: string, options?: GetOptions): Promise<KeyValue | undefined>;
  /** All keys with `prefix` in order, at one revision, however many pages that takes. */
  range(prefix: string, options?: RangeOptions): Promise<{ revision: number; kvs: KeyValue[] }>;
  /**
   * The same page by page, for more than memory should hold at once; one page at least. `withinMs`
   * is for each of them: how long all take depends on how many there are.
   */
  pages(
    prefix: string,
    options?: RangeOptions,
  ): AsyncIterable<{ revision: number; kvs: KeyValue[] }>;
  /**
   * One transaction. A failed compare is `ok: false`. When the answer is lost and `settle` is
   * given, the truth is found out by re-reading; without it Fault `etcd.outcome-unknown`.
   */
  transact(txn: Txn, options?: CallOptions & { settle?: Settle }): Promise<TxnResult>;
  /** One connection that only wakes loops; any trouble ends it with one `onLost`. */
  watch(prefix: string, options: WatchOptions): void;
  lease: {
    /** A lease's id. */
    grant(ttlSeconds: number, options?: CallOptions): Promise<string>;
    /** Seconds left, counted from when this was *called*; 0 when the lease is gone. */
    keepAlive(id: string, options?: CallOptions): Promise<number>;
    /** Ends the lease and deletes its keys; no error when it is gone already. */
    revoke(id: string, options?: CallOptions): Promise<void>;
  };
  members: {
    /** Linearizable; with `asOf`, at least as of that revision. */
    list(options?: CallOptions & { asOf?: number }): Promise<EtcdMember[]>;
    /** Adds a member that copies but doesn't vote; returns its id. Repeating it is harmless. */
    addLearner(peerUrl: string, options?: CallOptions): Promise<string>;
    /** Makes a learner a voter; `ok: false` while etcd finds it too far behind. */
    promote(id: string, options?: CallOptions): Promise<{ ok: boolean; because: string }>;
    remove(id: string, options?: CallOptions): Promise<void>;
  };
  /**
   * What the member behind `endpoint` says of itself, also without quorum. By default within one
   * attempt.
   */
  status(endpoint: string, options?: CallOptions): Promise<MemberStatus>;
  alarms(options?: CallOptions): Promise<Alarm[]>;
  /** Clears every alarm; it comes back by itself when its cause is still there. */
  disarm(options?: CallOptions): Promise<void>;
  /** Forgets history before `revision`; no error when that is done already. */
  compact(revision: number, options?: CallOptions): Promise<void>;
  /** Gives space back to the file system. The member serves nothing meanwhile: one at a time. */
  defragment(endpoint: string, options?: CallOptions): Promise<void>;
  /** Writes the member's database to `path` (0600), its checksum verified; returns its size. */
  snapshot(endpoint: string, path: string, options?: CallOptions): Promise<{ bytes: number }>;
  setEndpoints(urls: string[]): void;
  endpoints(): string[];
  /** New connections use these; kept-alive ones are closed when their request is done. */
  setTls(tls: EtcdTls | undefined): void;
  /** Closes every connection; watches end without `onLost`. */
  close(): void;
}

export interface EtcdTls {
  ca: string | Buffer;
  cert: string | Buffer;
  key: string | Buffer;
}

export interface EtcdOptions {
  /** Base URLs: "https://10.88.0.11:9141". */
  endpoints: string[];
  tls: EtcdTls | undefined;
  /** Longest silence of a member before the next is asked, in milliseconds. Default 1,000. */
  attemptMs?: number;
  /** Watches of what begins so share one connection. Absent: each has its own. */
  sharedPrefix?: string;
  log?: Log;
}
