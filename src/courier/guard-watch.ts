// Watches what PuppetDBs have. The courier beside one counts, and tells the others; each remembers
// by itself, on disk, what was good. The idea: what one server's disk has lost or gone back to,
// another server's courier still knows. Danger: figures from before a PuppetDB was down say
// nothing of it now, so they are dropped as soon as it doesn't answer.

import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { deadline, pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import { countPuppetdb } from "./counting.ts";
import { type Counts, follow, Memory, recall } from "./guard.ts";
import type { Peer, PeerState } from "./peers.ts";
import type { Health, PuppetDbClient } from "./puppetdb-client.ts";

const COUNT_EVERY_MS = 10_000;
const COUNT_AGAIN_MS = 1000;
const COUNT_MS_MAX = 60_000;
/** Counting takes a twentieth of PuppetDB's time at most. */
const COUNT_SHARE = 20;
const FOLLOW_EVERY_MS = 1000;
const SAVE_EVERY_MS = 10_000;
/** Another courier that was silent for so long since the start isn't waited for. */
const HEAR_MS = 5000;

const Kept = z.object({ format: z.literal(1), memories: z.record(z.string(), Memory) });

export interface Guard {
  /** The newest word of this server's own PuppetDB on itself. */
  saw(health: Health): void;
  /** Why `id` must not answer queries, for what it has lost; empty when it may. */
  because(id: string): string;
  /** For other couriers: figures of this server's PuppetDB, and what is remembered of each. */
  state(): Pick<PeerState, "counts" | "memories">;
  /** Resolves after `signal`, when all is kept. */
  ended: Promise<void>;
}

export interface GuardDeps {
  puppetdbs: readonly string[];
  /** This server's own. */
  local: PuppetDbClient | undefined;
  /** By PuppetDB: the newest order to take it as it is. */
  accepted: Readonly<Record<string, string>>;
  peers: readonly Peer[];
  log: Log;
  signal: AbortSignal;
}

/** Remembers in the file at `path`; one that can't be read is made up for by other couriers'. */
export async function startGuard(path: string, deps: GuardDeps): Promise<Guard> {
  const { puppetdbs, local, peers, log, signal } = deps;
  const memories = await readMemories(path, log);
  const own = local === undefined ? undefined : startCounting(local, { log, signal });
  const heard = () =>
    peers.flatMap((peer): PeerState[] => {
      const state = peer.reachable() ? peer.state() : undefined;
      return state === undefined ? [] : [state];
    });
  const lookAt = (id: string): Look => {
    if (own !== undefined && id === local?.id) return own.look();
    const state = heard().find((one) => one.id === id);
    if (state?.counts) return { counts: state.counts, because: "" };
    // An older version doesn't count.
    const because = state !== undefined && state.counts === undefined ? "" : NOT_YET;
    return { counts: undefined, because };
  };
  /** Looks at the others that have lost nothing. */
  const wholeOthers = (id: string): Counts[] =>
    puppetdbs
      .filter((other) => other !== id && memories.get(other)?.shrunk === "")
      .flatMap((other) => lookAt(other).counts ?? []);
  let dirty = false;
  const step = (id: string): string => {
    const { counts, because } = lookAt(id);
    if (counts === undefined) return because;
    const accepted = deps.accepted[id];
    const mine = memories.get(id);
    const theirs = heard().flatMap((state) => state.memories?.[id] ?? []);
    const before = recall(mine, theirs, accepted);
    const unheard = peers.some((peer) => !peer.reachable() && peer.silentMs() < HEAR_MS);
    if (before === undefined && unheard) return "what it had isn't known yet";
    const after = follow(before, counts, { accepted, others: wholeOthers(id) });
    if (JSON.stringify(after) === JSON.stringify(mine)) return after.shrunk;
    memories.set(id, after);
    dirty = true;
    const was = mine?.shrunk ?? "";
    if (after.shrunk !== "" && was === "") {
      const hint = "where that is meant: understudy puppetdb accept";
      log.error("a PuppetDB has lost something", { puppetdb: id, why: after.shrunk, hint });
    }
    if (after.shrunk === "" && was !== "") {
      log.notice("a PuppetDB has again what it had, or is taken as it is", { puppetdb: id });
    }
    return after.shrunk;
  };
  const save = async () => {
    if (!dirty) return;
    dirty = false;
    const text = JSON.stringify({ format: 1, memories: Object.fromEntries(memories) });
    await writeFileAtomic(path, text, { mode: 0o600 }).catch((error: unknown) => {
      dirty = true;
      log.warn("what a PuppetDB has can't be kept", { why: messageOf(error) });
    });
  };
  const keep = async () => {
    let dueMs = 0;
    while (!signal.aborted) {
      for (const id of puppetdbs) step(id);
      if (monotonicMs() >= dueMs) {
        await save();
        dueMs = monotonicMs() + SAVE_EVERY_MS;
      }
      await pause(FOLLOW_EVERY_MS, signal);
    }
    await save();
  };
  return {
    saw: (health) => own?.saw(health),
    because: step,
    state: () => ({
      counts: own?.look().counts ?? null,
      memories: Object.fromEntries(memories),
    }),
    ended: Promise.all([keep(), own?.ended]).then(() => undefined),
  };
}

const NOT_YET = "what it has isn't counted yet";

/** `because`: why there are no counts; empty where there never will be. */
interface Look {
  counts: Counts | undefined;
  because: string;
}

/** Counts this server's PuppetDB while it answers, at once when it comes back. */
function startCounting(client: PuppetDbClient, { log, signal }: { log: Log; signal: AbortSignal }) {
  let readable = false;
  /** How often it went down: what was begun before counts for nothing. */
  let downs = 0;
  let look: Look = { counts: undefined, because: NOT_YET };
  let up = Promise.withResolvers<void>();
  const count = async () => {
    const begun = downs;
    try {
      const counts = await countPuppetdb(client, deadline(COUNT_MS_MAX, signal));
      if (begun === downs) look = { counts: { ...counts, deleted: 0 }, because: "" };
    } catch (error) {
      if (signal.aborted || begun !== downs) return;
      const because = `what it has can't be counted: ${messageOf(error)}`;
      if (because !== look.because) log.warn(because, { puppetdb: client.id });
      // A PuppetDB that is too busy to count has lost nothing by that.
      look = { ...look, because };
    }
  };
  const go = async () => {
    while (!signal.aborted) {
      const startedMs = monotonicMs();
      if (readable) await count();
      const tookMs = monotonicMs() - startedMs;
      const waitMs = Math.max(COUNT_EVERY_MS, tookMs * COUNT_SHARE);
      const settled = look.counts !== undefined;
      await Promise.race([up.promise, pause(settled ? waitMs : COUNT_AGAIN_MS, signal)]);
      up = Promise.withResolvers();
    }
  };
  return {
    look: () => look,
    saw(health: Health) {
      if (!health.readable && readable) downs += 1;
      if (!health.readable) look = { counts: undefined, because: NOT_YET };
      if (health.readable && !readable) up.resolve();
      readable = health.readable;
    },
    ended: go(),
  };
}

async function readMemories(path: string, log: Log): Promise<Map<string, Memory>> {
  try {
    const text = await readIfThere(path);
    if (text === undefined) return new Map();
    return new Map(Object.entries(Kept.parse(JSON.parse(text)).memories));
  } catch (error) {
    log.warn("what PuppetDBs had can't be read: other couriers' memory counts, or the next look", {
      why: messageOf(error),
    });
    return new Map();
  }
}
