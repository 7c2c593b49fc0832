// One connection for all watches below a prefix: etcd renders every event once and we read it once,
// however many parts of a daemon follow it. The idea: every watch begins on a connection of its
// own, as if there were no other. Where two have told of the same newest revision, the followers of
// the older connection go on with the newer one, and the older is closed. Danger: a follower must
// hear of every event from its revision on once, and of none before.

import type { Etcd, WatchEvent, WatchOptions } from "./types.ts";

interface Follower {
  prefix: string;
  options: WatchOptions;
  /** The first revision that it hasn't been told of. */
  next: number;
  leave: () => void;
}

interface Stream {
  /** The first revision that was asked for. */
  from: number;
  /** Up to which revision all was told; 0: nothing was yet. */
  told: number;
  followers: Set<Follower>;
  end: AbortController;
}

/** `watch` for prefixes that begin with `prefix`. What has its own `quietMs` stays by itself. */
export function shareWatch(watch: Etcd["watch"], prefix: string): Etcd["watch"] {
  /** Oldest first. */
  const streams: Stream[] = [];
  const close = (stream: Stream) => {
    const at = streams.indexOf(stream);
    if (at >= 0) streams.splice(at, 1);
    stream.end.abort();
  };
  const remove = (follower: Follower) => {
    for (const stream of streams) {
      if (stream.followers.delete(follower) && stream.followers.size === 0) return close(stream);
    }
  };
  const join = () => {
    const newest = streams.at(-1);
    for (const older of streams.slice(0, -1)) {
      if (newest === undefined || older.told === 0 || older.told !== newest.told) continue;
      for (const follower of older.followers) newest.followers.add(follower);
      close(older);
    }
  };
  const open = (first: Follower) => {
    const followers = new Set([first]);
    const stream = { from: first.next, told: 0, followers, end: new AbortController() };
    streams.push(stream);
    watch(prefix, {
      fromRevision: stream.from,
      signal: stream.end.signal,
      onEvents(events, revision) {
        stream.told = revision;
        for (const follower of stream.followers) tell(follower, events, revision);
        join();
      },
      onLost(why, compacted) {
        close(stream);
        for (const { next, options, leave } of stream.followers) {
          options.signal.removeEventListener("abort", leave);
          // Those that were further find out themselves whether theirs is history still.
          options.onLost(why, compacted && next <= stream.from);
        }
      },
    });
  };
  return (wanted, options) => {
    if (!wanted.startsWith(prefix) || options.quietMs !== undefined) return watch(wanted, options);
    if (options.signal.aborted) return;
    const leave = () => remove(follower);
    const follower = { prefix: wanted, options, next: options.fromRevision, leave };
    options.signal.addEventListener("abort", leave, { once: true });
    open(follower);
  };
}

function tell(follower: Follower, events: WatchEvent[], revision: number): void {
  const { prefix, next, options } = follower;
  const wanted = events.filter(({ kv }) => kv.modRevision >= next && kv.key.startsWith(prefix));
  follower.next = Math.max(next, revision + 1);
  if (wanted.length > 0) options.onEvents(wanted, revision);
}
