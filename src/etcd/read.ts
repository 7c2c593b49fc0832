// Reads: one key, or all below a prefix. The idea: linearizable unless asked otherwise, and a long
// range comes in pages that all show the same revision. Danger: with large values a page is large;
// ask for `keysOnly` or a `limit` where values may be megabytes.

import { Fault } from "../base/fault.ts";
import { monotonicMs } from "../host/clock.ts";
import { ask, WITHIN_MS_DEFAULT } from "./call.ts";
import { noteRevision, type RevisionClient } from "./transaction.ts";
import type { GetOptions, KeyValue, RangeOptions } from "./types.ts";
import { decodePage, encode, keyAfter, type Page, prefixRange } from "./wire.ts";

/**
 * Keys in one answer at most. A larger answer becomes garbage only after V8 has moved it to where
 * garbage stays long: with 5000 keys a daemon took twice the memory.
 */
export const PAGE_KEYS_MAX = 500;
/** The same without values. etcd counts all keys that are left for each page. */
const PAGE_BARE_KEYS_MAX = 5000;

/** See Etcd.get. */
export async function get(
  client: RevisionClient,
  key: string,
  options: GetOptions = {},
): Promise<KeyValue | undefined> {
  const body = { key: encode(key), serializable: options.serializable === true };
  const answer = await ask(client, { path: "/v3/kv/range", body }, options);
  const page = decodePage(answer.body);
  noteRevision(client, answer.endpoint, page.revision);
  return page.kvs[0];
}

/** See Etcd.range. */
export async function range(
  client: RevisionClient,
  prefix: string,
  options: RangeOptions = {},
): Promise<{ revision: number; kvs: KeyValue[] }> {
  const all: { revision: number; kvs: KeyValue[] } = { revision: 0, kvs: [] };
  const end = monotonicMs() + (options.withinMs ?? WITHIN_MS_DEFAULT);
  const left = () => Math.max(1, end - monotonicMs());
  for await (const { revision, kvs } of readPages(client, prefix, options, left)) {
    all.revision = revision;
    for (const kv of kvs) all.kvs.push(kv);
  }
  return all;
}

/** See Etcd.pages. */
export function pages(
  client: RevisionClient,
  prefix: string,
  options: RangeOptions = {},
): AsyncGenerator<{ revision: number; kvs: KeyValue[] }> {
  return readPages(client, prefix, options, () => options.withinMs ?? WITHIN_MS_DEFAULT);
}

/** `leftMs`: how long the next page may take. */
async function* readPages(
  client: RevisionClient,
  prefix: string,
  options: RangeOptions,
  leftMs: () => number,
): AsyncGenerator<{ revision: number; kvs: KeyValue[] }> {
  const { signal } = options;
  const most = options.keysOnly === true ? PAGE_BARE_KEYS_MAX : PAGE_KEYS_MAX;
  const span = prefixRange(prefix);
  let revision = options.revision;
  let wanted = options.limit ?? Number.POSITIVE_INFINITY;
  const within = () => ({ withinMs: leftMs(), ...(signal && { signal }) });
  let pinned: { endpoint?: string } = {};
  const read = async (key: string) => {
    const body = {
      key,
      range_end: span.range_end,
      limit: String(Math.min(most, wanted)),
      serializable: options.serializable === true,
      keys_only: options.keysOnly === true,
      ...(revision === undefined ? {} : { revision: String(revision) }),
    };
    const answer = await ask(client, { path: "/v3/kv/range", body, ...pinned }, within());
    const page = decodePage(answer.body);
    noteRevision(client, answer.endpoint, page.revision);
    // Another member's own view may not have come as far as this revision.
    if (options.serializable === true) pinned = { endpoint: answer.endpoint };
    return page;
  };
  let next: Promise<Page> | undefined = read(
    options.from === undefined ? span.key : encode(options.from),
  );
  while (next !== undefined) {
    const page: Page = await next;
    revision ??= page.revision;
    wanted -= page.kvs.length;
    next = undefined;
    if (page.more && wanted > 0) {
      if (page.lastKey === undefined) {
        throw new Fault("etcd.garbled", "etcd says there is more, but sent no key");
      }
      // etcd works on the next page while this one is taken in.
      next = read(keyAfter(page.lastKey));
      // Whoever takes no further page doesn't hear of its failure.
      next.catch(() => undefined);
    }
    yield { revision, kvs: page.kvs };
  }
}
