// Keeps the view fresh: a watch wakes it, a timer makes sure, the disk has the last one. Everybody
// else reads `current()`; when etcd can't be read the old view stays, and `record()` says since
// when and why.

import { Fault, messageOf } from "../base/fault.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { Log } from "../base/log.ts";
import { clientUrl } from "../etcd/server.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { changedMs } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { ALERTS_PREFIX, EJECTED_KEY, HISTORY_PREFIX, KEY_PREFIX } from "./keys.ts";
import type { NodeFile } from "./schema.ts";
import { keepView, readKeptView, readView, type View, voterEndpoints } from "./view.ts";

const TICK_MS = 3000;
/** Why the record isn't reachable while nobody has tried yet. */
export const NOT_READ_YET = "not read yet";

export interface ViewKeeper {
  /** The newest view there is; undefined until one was read for the first time ever. */
  current(): View | undefined;
  /**
   * Whether the record can be read now, why not, and how old the view is; `ageIsMost`: it is the
   * one from disk, where only its last change is dated.
   */
  record(): { reachable: boolean; because: string; ageMs: number; ageIsMost: boolean };
  /** Calls `listener` after every reading that changed something. */
  onChange(listener: (view: View) => void): void;
  loop: Loop;
}

/** Starts reading. The first view may come from disk, so that a member starts without etcd (P5). */
export async function startViewKeeper(options: {
  etcd: Etcd;
  node: NodeFile;
  log: Log;
  signal: AbortSignal;
}): Promise<ViewKeeper> {
  const { etcd, node, log, signal } = options;
  const listeners: ((view: View) => void)[] = [];
  let view = await readKeptView();
  /** What was written to disk; where that fails, it is tried again. */
  let kept: View | undefined;
  let readMs = view === undefined ? Number.NEGATIVE_INFINITY : monotonicMs() - (await keptAgeMs());
  let ageIsMost = true;
  let because = NOT_READ_YET;
  let watching = false;
  if (view !== undefined) etcd.setEndpoints(endpointsOf(view, node));

  const watch = (fromRevision: number) => {
    watching = true;
    etcd.watch(KEY_PREFIX, {
      fromRevision,
      signal,
      onEvents: (events) => {
        // The CA's keys have a mirror of their own; only the cluster's are read here.
        if (events.some(({ kv }) => isOfView(kv.key))) loop.wake();
      },
      onLost: () => {
        watching = false;
      },
    });
  };
  const read = async () => {
    try {
      const fresh = await readView(etcd, signal);
      if (fresh === undefined) throw new Fault("cluster.no-record", "etcd holds no cluster record");
      requireSameCluster(fresh, node);
      readMs = monotonicMs();
      ageIsMost = false;
      because = "";
      if (!watching) watch(fresh.revision + 1);
      const changed = !sameView(fresh, view);
      view = fresh;
      if (changed) {
        etcd.setEndpoints(endpointsOf(fresh, node));
        for (const listener of listeners) listener(fresh);
      }
    } catch (error) {
      because = messageOf(error);
      throw error;
    }
    if (sameView(view, kept)) return;
    await keepView(view);
    kept = view;
  };
  const loop = startLoop({ name: "view", everyMs: TICK_MS, log, signal, body: read });
  return {
    loop,
    current: () => view,
    record: () => {
      return { reachable: because === "", because, ageMs: monotonicMs() - readMs, ageIsMost };
    },
    onChange: (listener) => listeners.push(listener),
  };
}

/** Whether a key is of what the view has. */
function isOfView(key: string): boolean {
  if (key === EJECTED_KEY) return true;
  return ![`${KEY_PREFIX}ca/`, HISTORY_PREFIX, ALERTS_PREFIX].some((each) => key.startsWith(each));
}

/** Whether both say the same of the cluster, whenever they were read. */
function sameView(a: View, b: View | undefined): boolean {
  return JSON.stringify({ ...a, revision: 0 }) === JSON.stringify({ ...b, revision: 0 });
}

/** How old the view on disk is at most, milliseconds: it is written only when something changes. */
async function keptAgeMs(): Promise<number> {
  const changed = (await changedMs(PATHS.viewFile)) ?? wallMs();
  return Math.max(0, wallMs() - changed);
}

function endpointsOf(view: View, node: NodeFile): string[] {
  const voters = voterEndpoints(view, node.id);
  const known = voters.length > 0 ? voters : node.etcdEndpoints;
  // Last of all its own: it may have taken over the only vote since the view was read.
  const own = clientUrl(node.address);
  return node.role !== "server" || known.includes(own) ? known : [...known, own];
}

/**
 * After a recovery by hand the record has a newer generation: a member of the old one stops (P6).
 */
function requireSameCluster(view: View, node: NodeFile): void {
  const { clusterId, generation } = view.meta;
  if (clusterId === node.clusterId && generation === node.generation) return;
  throw new Fault(
    "cluster.other-generation",
    `the record is of cluster ${clusterId}, generation ${generation}; this member is of ${node.clusterId}, generation ${node.generation}`,
    {
      hints: [
        "The cluster was recovered without this member. Join it again: understudy leave, then join.",
      ],
    },
  );
}
