// Brings one spool to one PuppetDB, as long as that stores what it is sent: a loop of its own, so
// that a PuppetDB which is down or slow holds up no other.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { deadline, pause } from "../base/retry.ts";
import { deleteNode } from "./deletion.ts";
import { isOfDeleted, judgeAnswer, planDelivery } from "./delivery-plan.ts";
import type { SpooledHead } from "./frame.ts";
import type { Progress } from "./progress.ts";
import type { Health, PuppetDbClient } from "./puppetdb-client.ts";
import type { Entry, Spool } from "./spool.ts";

/** Commands that are on their way to one PuppetDB at most. */
const AT_ONCE_MAX = 8;
/** Commands that are looked at ahead of the first that isn't done. */
const WINDOW = 500;
const AGAIN_MS = 5000;
const IDLE_MS = 1000;
/** For three small queries and the deletion itself. */
const DELETE_MS = 30_000;

/** What a delivery works with. */
export interface DeliveryDeps {
  spool: Spool;
  progress: Progress;
  puppetdb: PuppetDbClient;
  /** The newest look at the PuppetDB. */
  health: () => Health;
  /** Looks anew, after one that takes nothing. */
  look: () => Promise<unknown>;
  /** The lowest number that may still have to be delivered. */
  first: () => number;
  /** Whether these commands are this courier's to deliver now; always, by default. */
  mayDeliver?: () => boolean;
  /** When a node was deleted, as far as is known here; milliseconds since the epoch. */
  deletedAt: (certname: string) => number | undefined;
  /** Has every courier that answers know of a deletion; resolves when it is on disk here. */
  announce: (head: SpooledHead) => Promise<void>;
  /** Keeps a command that the PuppetDB will never take. */
  bury: (entry: Entry, body: Buffer, because: string) => Promise<void>;
  /** Told when some were done. */
  onDone: () => void;
  log: Log;
  signal: AbortSignal;
}

export interface Delivery {
  /** There is something new to deliver. */
  wake(): void;
  ended: Promise<void>;
}

export function startDelivery(deps: DeliveryDeps): Delivery {
  const { spool, progress, signal } = deps;
  const busy = new Set<string>();
  const tries = new Map<number, number>();
  const notBefore = new Map<string, number>();
  let woken = Promise.withResolvers<void>();
  const wake = () => woken.resolve();

  const finish = (seq: number) => {
    progress.finish(seq);
    tries.delete(seq);
    deps.onDone();
  };
  const remove = async ({ certname }: SpooledHead, producerMs: number) =>
    deleteNode(deps.puppetdb, { certname, producerMs }, deadline(DELETE_MS, signal));
  const send = async (head: SpooledHead, body: Buffer) => {
    if (head.kind !== "deletion") return deps.puppetdb.send(head, body, signal);
    // Before it is gone there, nobody may bring it what is older.
    await deps.announce(head);
    return remove(head, head.producerMs);
  };
  const deliver = async (entry: Entry) => {
    const { seq, head } = entry;
    try {
      const body = await spool.body(seq);
      // What can't be read is damaged: it stays, and stands in the log.
      if (body === undefined) throw new Error(`command ${seq} can't be read from the spool`);
      const attempt = (tries.get(seq) ?? 0) + 1;
      const verdict = judgeAnswer(await send(head, body), attempt);
      if (signal.aborted) return;
      // It was on its way when somebody deleted the node.
      const atMs = deps.deletedAt(head.certname) ?? 0;
      if (verdict.is === "done" && isOfDeleted(head, deps.deletedAt)) await remove(head, atMs);
      if (verdict.is === "dead") await deps.bury(entry, body, verdict.because);
      if (verdict.is === "done" || verdict.is === "dead") return finish(seq);
      if (verdict.is === "later") await deps.look();
      else tries.set(seq, attempt);
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
  const go = async () => {
    while (!signal.aborted) {
      woken = Promise.withResolvers<void>();
      let sent = 0;
      progress.startAt(deps.first());
      const may = deps.mayDeliver?.() ?? true;
      if (may && deps.health().writable && progress.upTo + 1 < spool.next) {
        const window = await spool.read(progress.upTo + 1, WINDOW);
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
        sent = send.length + skip.length;
      }
      if (sent === 0 || busy.size >= AT_ONCE_MAX)
        await Promise.race([woken.promise, pause(IDLE_MS, signal)]);
    }
  };
  return { wake, ended: go() };
}
