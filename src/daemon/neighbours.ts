// What this member knows of the others by asking them: who answers, how far the clocks are apart,
// and whether their copies of the record follow what etcd has.

import { isFault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import { shareNext } from "../base/share-next.ts";
import { clockOffsetMs, type ClockStatus, judgeOffset, requireClock } from "../cluster/clock.ts";
import type { Peers } from "../cluster/peer.ts";
import { type CopyVerdict, LocalStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";

const TICK_MS = 5000;
/** Longer than what a member gives its own etcd before it answers without (local-status.ts). */
const ASK_MS = 3000;
/**
 * A neighbour counts as there until it has been silent for this long: losing one takes steps back.
 */
const SILENT_MS = 60_000;
/** A clock reading older than this says nothing about now. */
const CLOCK_MS = 15_000;
/** Silence that is told in the history: three rounds. */
const QUIET_MS = 15_000;

export interface Neighbours {
  /** Whether the member answered lately; this member itself always does. */
  reachable(id: string): boolean;
  /** The other members that have been asked for a while, and whether each answered lately. */
  answering(): ReadonlyMap<string, boolean>;
  /**
   * What each server said lately of its copy of the record; undefined until all were asked once.
   */
  copies(): ReadonlyMap<string, CopyVerdict> | undefined;
  /** Asks all once more; resolves when each has answered, or is silent. */
  askAgain(): Promise<void>;
  /** How far this clock is off most clocks, milliseconds; undefined while nobody answers. */
  clockOffsetMs(): number | undefined;
  /** Whether it is about as most are; where nobody answers it is taken for right. */
  clockIsRight(): boolean;
  /** Throws Fault `cluster.clock-off` where it is too wrong for `what`. */
  requireClock(what: string): void;
  /** The same with how far it is off each other's. */
  clock(): ClockStatus;
  loop: Loop;
}

/** What a member said when it answered last. */
interface Seen {
  atMs: number;
  offsetMs: number;
  copy: CopyVerdict | undefined;
}

export function createNeighbours(options: {
  id: string;
  keeper: ViewKeeper;
  peers: Peers;
  /** Called when `by` says that this member was removed. */
  onRemoved(by: string): Promise<void>;
  log: Log;
  signal: AbortSignal;
}): Neighbours {
  const { id, keeper, peers } = options;
  const seen = new Map<string, Seen>();
  let begun = false;
  /** Since when each is asked. */
  const asked = new Map<string, number>();
  const within = (ms: number) => [...seen].filter(([, { atMs }]) => monotonicMs() - atMs < ms);
  const askAll = async (signal: AbortSignal) => {
    const others = (keeper.current()?.members ?? []).filter((member) => member.id !== id);
    for (const member of others) asked.set(member.id, asked.get(member.id) ?? monotonicMs());
    for (const name of asked.keys()) {
      if (!others.some((member) => member.id === name)) asked.delete(name);
    }
    await Promise.all(
      others.map(async (member) => {
        const sentMs = wallMs();
        const said = await peers
          .call(member.address, "/v1/local", { answer: LocalStatus, withinMs: ASK_MS, signal })
          .catch(async (error: unknown) => {
            if (isFault(error, "member.removed")) await options.onRemoved(member.id);
            return undefined;
          });
        if (said === undefined) return;
        const offsetMs = (sentMs + wallMs()) / 2 - said.wallMs;
        seen.set(member.id, { atMs: monotonicMs(), offsetMs, copy: said.copy });
      }),
    );
    begun = true;
  };
  const loop = startLoop({
    name: "neighbours",
    everyMs: TICK_MS,
    log: options.log,
    signal: options.signal,
    body: askAll,
  });
  const offsets = () =>
    within(CLOCK_MS).map(([id, { offsetMs }]) => ({ id, offsetMs: Math.round(offsetMs) }));
  const ownOffsetMs = () => clockOffsetMs(offsets().map(({ offsetMs }) => offsetMs));
  return {
    loop,
    reachable: (other) => other === id || within(SILENT_MS).some(([name]) => name === other),
    answering() {
      const lately = new Set(within(QUIET_MS).map(([name]) => name));
      const known = [...asked].filter(
        ([name, sinceMs]) => lately.has(name) || monotonicMs() - sinceMs > QUIET_MS,
      );
      return new Map(known.map(([name]) => [name, lately.has(name)]));
    },
    askAgain: shareNext(async () => askAll(options.signal)),
    copies: () => (begun ? copiesOf(within(CLOCK_MS)) : undefined),
    clockOffsetMs: ownOffsetMs,
    clockIsRight: () => judgeOffset(ownOffsetMs() ?? 0) !== "wrong",
    requireClock: (what) => requireClock(ownOffsetMs(), what),
    clock() {
      const offsetMs = ownOffsetMs();
      return { others: offsets(), ...(offsetMs !== undefined && { offsetMs }) };
    },
  };
}

function copiesOf(seen: readonly [string, Seen][]): ReadonlyMap<string, CopyVerdict> {
  return new Map(seen.flatMap(([id, { copy }]) => (copy === undefined ? [] : [[id, copy]])));
}
