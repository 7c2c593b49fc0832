// Memory that was filled from this server's copy becomes the record's: etcd is asked whether its
// history has what the copy ends with, and for all that came since. Where that can't be told, the
// whole record must be read.

import { monotonicMs } from "../host/clock.ts";
import { KEY_PREFIX, META_KEY } from "../cluster/keys.ts";
import { pause } from "../base/retry.ts";
import type { Etcd } from "../etcd/types.ts";
import { findChange } from "./history.ts";
import type { CopyEnd } from "./journal.ts";
import type { Mirror } from "./mirror.ts";
import { changeOf } from "./store.ts";

/** How long one question to etcd may take, milliseconds. */
const ASK_MS = 5000;
/**
 * How long is waited for the next change since the copy's end, milliseconds. In an etcd that others
 * use too the newest may be none of ours, and then never comes.
 */
const NEXT_MS = 2000;
const POLL_MS = 5;

/**
 * Brings `mirror`, filled with a copy that ends at `end`, to what etcd has now. False: the copy may
 * be of another record, or too old. Throws Fault `etcd.…`.
 */
export async function catchUp(
  etcd: Etcd,
  mirror: Mirror,
  end: CopyEnd,
  signal?: AbortSignal,
): Promise<boolean> {
  if (end.newest === undefined) return false;
  const options = { withinMs: ASK_MS, ...(signal && { signal }) };
  const { revision } = await etcd.transact({ when: [], then: [{ get: META_KEY }] }, options);
  if (revision < end.revision) return false;
  if ((await findChange(etcd, end.newest, options)) !== "there") return false;
  mirror.apply([], end.revision);
  if (revision === end.revision) return true;
  return hearUpTo(etcd, mirror, revision, signal);
}

/** Takes in what etcd tells until it has come to `revision`; false when it doesn't come so far. */
async function hearUpTo(
  etcd: Etcd,
  mirror: Mirror,
  revision: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  const seen = { revision: mirror.revision, atMs: monotonicMs(), lost: false };
  etcd.watch(KEY_PREFIX, {
    fromRevision: seen.revision + 1,
    signal: signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]),
    onEvents(events, upTo) {
      mirror.apply(events.map(changeOf), upTo);
      seen.revision = upTo;
      seen.atMs = monotonicMs();
    },
    onLost: () => (seen.lost = true),
  });
  const isOver = () =>
    seen.revision >= revision ||
    seen.lost ||
    signal?.aborted === true ||
    monotonicMs() - seen.atMs >= NEXT_MS;
  while (!isOver()) await pause(POLL_MS);
  over.abort();
  return seen.revision >= revision;
}
