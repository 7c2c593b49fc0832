// Brings one spool to one target, as long as that stores what it is sent: a loop of its own, so
// that a target which is down or slow holds up no other.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { type DeliveryAnswer, planDelivery, type Verdict } from "./delivery-plan.ts";
import type { CommandHead } from "./command.ts";
import type { Failures } from "./failures.ts";
import type { Progress } from "./progress.ts";
import type { Entry, Spool } from "./spool.ts";

/** Commands that are on their way to one target at most. */
const AT_ONCE_MAX = 8;
/** Commands that are looked at ahead of the first that isn't done. */
const WINDOW = 500;
const AGAIN_MS = 5000;
const IDLE_MS = 1000;
/** By then a target that is only busy has stored others; it doesn't count as behind yet. */
const ASIDE_AFTER_TRIES = 3;
/** A command that can't be read so often is damaged. */
const READS_MAX = 5;

/** A PuppetDB, or another receiver. */
export interface DeliveryTarget {
  readonly id: string;
  /** Whether it takes anything now. */
  writable(): boolean;
  /** Looks anew, after it took nothing. */
  look(): Promise<unknown>;
  /** Throws what keeps it from being sent now. */
  send(head: CommandHead, body: Buffer, signal: AbortSignal): Promise<DeliveryAnswer>;
  /** What its answer to the `tries`th attempt (1: the first) means. */
  judge(answer: DeliveryAnswer, tries: number): Verdict;
}

/** What a delivery works with. */
export interface DeliveryDeps {
  spool: Spool;
  progress: Progress;
  target: DeliveryTarget;
  /** Of that target; all deliveries to it share them. */
  failures: Failures;
  /** The lowest number that may still have to be delivered. */
  first: () => number;
  /** Whether these commands are this courier's to deliver now. */
  mayDeliver: () => boolean;
  /** When a node was deleted, as far as is known here; milliseconds since the epoch. */
  deletedAt: (certname: string) => number | undefined;
  /** Keeps a command that the target will never take. */
  bury: (entry: Entry, body: Buffer, because: string) => Promise<void>;
  /**
   * Takes a command over that the target fails at again and again while it stores others, to be
   * tried apart: what stands behind it isn't to wait, nor is the target behind for it. Absent: it
   * is tried here.
   */
  setAside?: (entry: Entry, body: Buffer) => Promise<void>;
  /** Told when some were done. */
  onDone: () => void;
  log: Log;
  signal: AbortSignal;
}

/** How often a command was tried, and since when. */
interface Tries {
  count: number;
  sinceMs: number;
}

export interface Delivery {
  /** There is something new to deliver. */
  wake(): void;
  ended: Promise<void>;
}

export function startDelivery(deps: DeliveryDeps): Delivery {
  const { spool, progress, target, failures, signal } = deps;
  const busy = new Set<string>();
  const tries = new Map<number, Tries>();
  /** When the target last stored something. */
  let storedMs = Number.NEGATIVE_INFINITY;
  const notBefore = new Map<string, number>();
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();

  if (progress.isBeyond(spool.next)) {
    // Or what comes under the numbers that a damaged disk has lost would count as done.
    progress.endAt(spool.next);
    deps.onDone();
  }
  const finish = (seq: number) => {
    progress.finish(seq);
    tries.delete(seq);
    deps.onDone();
  };
  const judge = (answer: DeliveryAnswer, attempt: number) =>
    target.judge(answer, failures.isEverything() ? 1 : attempt);
  const deliver = async (entry: Entry) => {
    const { seq, head } = entry;
    try {
      const { count, sinceMs } = tries.get(seq) ?? { count: 0, sinceMs: performance.now() };
      const attempt = count + 1;
      const body = await spool.body(seq);
      if (body === undefined && seq < spool.first) return finish(seq);
      const verdict =
        body === undefined
          ? judgeUnreadable(attempt)
          : judge(await target.send(head, body, signal), attempt);
      if (signal.aborted) return;
      if (verdict.is === "again" && body) failures.failed(head);
      if (verdict.is === "dead") {
        await deps.bury(entry, body ?? Buffer.alloc(0), verdict.because);
      }
      if (verdict.is === "done") {
        storedMs = performance.now();
        failures.took();
      }
      if (verdict.is === "done" || verdict.is === "dead") return finish(seq);
      // One that stores nothing else either is behind, and says so.
      const isOdd = attempt >= ASIDE_AFTER_TRIES && storedMs > sinceMs;
      if (verdict.is === "again" && isOdd && deps.setAside && body) {
        await deps.setAside(entry, body);
        return finish(seq);
      }
      if (verdict.is === "later") await target.look();
      else if (!body || !failures.isEverything()) tries.set(seq, { count: attempt, sinceMs });
      notBefore.set(head.certname, performance.now() + AGAIN_MS);
    } catch (error) {
      notBefore.set(head.certname, performance.now() + AGAIN_MS);
      const { certname, kind } = head;
      deps.log.warn("a command can't be delivered now", { certname, kind, why: messageOf(error) });
    } finally {
      busy.delete(head.certname);
      wake();
    }
  };
  const held = () => {
    const now = performance.now();
    for (const [certname, at] of notBefore) if (at <= now) notBefore.delete(certname);
    return new Set([...busy, ...notBefore.keys()]);
  };
  /** Returns how many were sent or skipped. */
  const round = async () => {
    progress.startAt(deps.first());
    const { next } = spool;
    if (!deps.mayDeliver() || !target.writable() || progress.upTo + 1 >= spool.next) return 0;
    const from = progress.upTo + 1;
    const window = await spool.read(from, WINDOW);
    const there = window[0]?.seq ?? next;
    if (there > from && deps.first() <= from) {
      deps.log.error("commands are missing in the spool: the disk is damaged", {
        to: target.id,
        commands: there - from,
      });
    }
    // Nothing comes after them otherwise, and nothing would ever be there.
    progress.startAt(there);
    const { skip, send } = planDelivery({
      window,
      isDone: (seq) => progress.isDone(seq),
      busy: held(),
      free: AT_ONCE_MAX - busy.size,
      newestOf: (kind, certname) => spool.newestOf(kind, certname),
      deletedAt: deps.deletedAt,
    });
    for (const { seq } of skip) finish(seq);
    for (const entry of send) {
      busy.add(entry.head.certname);
      void deliver(entry);
    }
    return send.length + skip.length;
  };
  const go = async () => {
    while (!signal.aborted) {
      woken = Promise.withResolvers<void>();
      const sent = await round().catch((error: unknown) => {
        deps.log.warn("the spool can't be read now", { to: target.id, why: messageOf(error) });
        return 0;
      });
      if (sent === 0 || busy.size >= AT_ONCE_MAX)
        await Promise.race([woken.promise, pause(IDLE_MS, signal)]);
    }
  };
  return { wake, ended: go() };
}

function judgeUnreadable(attempt: number): Verdict {
  const because = "it can't be read from the spool: the disk is damaged";
  return { is: attempt >= READS_MAX ? "dead" : "again", because };
}
