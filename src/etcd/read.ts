// Reads: one key, or all below a prefix. The idea: linearizable unless asked otherwise, and a long
// range comes in pages that all show the same revision. Danger: with large values a page is large;
// ask for `keysOnly` or a `limit` where values may be megabytes.

import { Fault } from "../base/fault.ts";
import { monotonicMs } from "../host/clock.ts";
import { ask, WITHIN_MS_DEFAULT } from "./call.ts";
import type { RevisionClient } from "./transaction.ts";
import type { GetOptions, KeyValue, RangeOptions } from "./types.ts";
import { decodePage, encode, keyAfter, prefixRange } from "./wire.ts";

/** Keys in one answer at most. */
export const PAGE_KEYS_MAX = 5000;

/** See Etcd.get. */
export async function get(
  client: RevisionClient,
  key: string,
  options: GetOptions = {},
): Promise<KeyValue | undefined> {
  const body = { key: encode(key), serializable: options.serializable === true };
  const answer = await ask(client, { path: "/v3/kv/range", body }, options);
  const page = decodePage(answer.body);
  client.newestRevision = Math.max(client.newestRevision, page.revision);
  return page.kvs[0];
}

/** See Etcd.range. */
export async function range(
  client: RevisionClient,
  prefix: string,
  options: RangeOptions = {},
): Promise<{ revision: number; kvs: KeyValue[] }> {
  const { signal } = options;
  const end = monotonicMs() + (options.withinMs ?? WITHIN_MS_DEFAULT);
  const left = () => ({ withinMs: Math.max(1, end - monotonicMs()), ...(signal && { signal }) });
  const wanted = options.limit ?? Number.POSITIVE_INFINITY;
  const span = prefixRange(prefix);
  const kvs: KeyValue[] = [];
  let revision = options.revision;
  let key = span.key;
  let pinned: { endpoint?: string } = {};
  for (;;) {
    const body = {
      key,
      range_end: span.range_end,
      limit: String(Math.min(PAGE_KEYS_MAX, wanted - kvs.length)),
      serializable: options.serializable === true,
      keys_only: options.keysOnly === true,
      ...(revision === undefined ? {} : { revision: String(revision) }),
    };
    const answer = await ask(client, { path: "/v3/kv/range", body, ...pinned }, left());
    const page = decodePage(answer.body);
    client.newestRevision = Math.max(client.newestRevision, page.revision);
    revision ??= page.revision;
    // Another member's own view may not have come as far as this revision.
    if (options.serializable === true) pinned = { endpoint: answer.endpoint };
    for (const kv of page.kvs) kvs.push(kv);
    if (!page.more || kvs.length >= wanted) return { revision, kvs };
    if (page.lastKey === undefined) {
      throw new Fault("etcd.garbled", "etcd says there is more, but sent no key");
    }
    key = keyAfter(page.lastKey);
  }
}
