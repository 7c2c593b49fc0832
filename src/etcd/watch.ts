// One watch on one connection. The idea: a watch only wakes a loop, the truth is the loop's next
// linearizable read; so at the first sign of trouble it says so once and ends, and its owner reads
// anew. Danger: a member without quorum leaves its watches open and silent, and so does a
// connection that died without a word: silence has a limit.

import type { Outcome } from "./attempt.ts";
import type { Client } from "./call.ts";
import type { WatchOptions } from "./types.ts";
import { decodeWatch, prefixRange } from "./wire.ts";

/**
 * etcd tells of its progress every 10 to 11 minutes, but leaves that out once after an event: a
 * watch that has heard nothing for longer is a dead connection.
 */
const QUIET_MS = 23 * 60_000;

/** See Etcd.watch. `closed` aborts when the client closes. */
export function watch(
  client: Client,
  prefix: string,
  options: WatchOptions,
  closed: AbortSignal,
): void {
  const endpoint = client.endpoints.order()[0] ?? "";
  const stop = new AbortController();
  let lost: { why: string; compacted: boolean } | undefined;
  const lose = (why: string, compacted = false) => {
    lost ??= { why: `${endpoint}: ${why}`, compacted };
    stop.abort();
  };
  // A member on which a request has just failed may be hung with this connection open.
  const forget = client.endpoints.onFailed(endpoint, (why) => lose(`the member failed: ${why}`));
  const end = () => stop.abort();
  for (const signal of [options.signal, closed]) {
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  }
  const body = {
    create_request: {
      ...prefixRange(prefix),
      start_revision: String(options.fromRevision),
      progress_notify: true,
    },
  };
  const attempt = {
    endpoint,
    path: "/v3/watch",
    body,
    connectMs: client.attemptMs,
    silenceMs: client.attemptMs,
    endless: true,
    signal: stop.signal,
  };
  const quietMs = options.quietMs ?? QUIET_MS;
  const onQuiet = () => lose(`the watch has been silent for ${quietMs} ms`);
  let quiet = setTimeout(onQuiet, quietMs).unref();
  const onLine = (line: unknown) => {
    if (stop.signal.aborted) return;
    clearTimeout(quiet);
    quiet = setTimeout(onQuiet, quietMs).unref();
    const message = decodeWatch(line);
    if (message.say === "lost") lose(message.why, message.compacted);
    if (message.say === "events") options.onEvents(message.events, message.revision);
  };
  const run = async () => {
    const outcome = await client.transport().stream(attempt, onLine);
    forget();
    clearTimeout(quiet);
    for (const signal of [options.signal, closed]) signal.removeEventListener("abort", end);
    if (options.signal.aborted || closed.aborted) return;
    if (lost === undefined) {
      lose(whyEnded(outcome));
      client.endpoints.failed(endpoint, "a watch on it ended");
    }
    options.onLost(lost?.why ?? "", lost?.compacted ?? false);
  };
  void run();
}

function whyEnded(outcome: Outcome): string {
  if (outcome.got === "answer") return "the member ended the watch";
  return outcome.got === "error" ? outcome.message : outcome.why;
}
