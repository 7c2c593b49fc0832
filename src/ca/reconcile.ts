// Makes sure that memory has what the record has: waits for the watch, or compares every key.

import { until } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import type { Core } from "./core.ts";
import type { Change } from "./mirror.ts";
import { CA_PREFIX } from "./record.ts";
import { PAGE_WITHIN_MS } from "./store.ts";

/** How long the watch may be behind, milliseconds, before the record itself is asked. */
const WATCH_LATE_MS = 500;
const WATCH_POLL_MS = 2;

/**
 * Resolves when memory has everything that the record had as of `revision`, which must be one that
 * wrote a key of the CA's. Throws Fault `etcd.…`.
 */
export async function ensureKnown(core: Core, revision: number): Promise<void> {
  const { mirror } = core;
  const told = () => mirror.revision >= revision;
  const options = { withinMs: WATCH_LATE_MS, everyMs: WATCH_POLL_MS };
  const inTime = await until("", told, options).catch(() => false);
  if (!inTime) await reconcile(core);
}

/** Compares every key's revision with memory and reads anew what differs. */
export async function reconcile(core: Core, signal?: AbortSignal): Promise<void> {
  const { deps, mirror, store, publisher } = core;
  const until = signal === undefined ? {} : { signal };
  const unseen = new Set(mirror.keys());
  const stale: string[] = [];
  let newest = 0;
  const options = { keysOnly: true, withinMs: PAGE_WITHIN_MS, ...until };
  for await (const { kvs, revision } of deps.etcd.pages(CA_PREFIX, options)) {
    newest = revision;
    for (const { key, modRevision } of kvs) {
      unseen.delete(key);
      if ((mirror.revisionOf(key) ?? Infinity) < modRevision) stale.push(key);
    }
  }
  await store.refresh(stale, until);
  const gone = [...unseen].filter((key) => (mirror.revisionOf(key) ?? Infinity) <= newest);
  const touched = mirror.apply(
    gone.map((key): Change => ({ key, value: null, modRevision: newest + 0.5 })),
  );
  core.readMs = monotonicMs();
  await publisher.publish(touched);
}
