// One spool with all that belongs to it: copies of it at other couriers, theirs here, and how far
// it has come towards each target. The idea: whatever was answered with 200 is on two disks, and
// leaves them only when every target has it, also when the courier that took it is gone.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import { makeFolder } from "../host/files.ts";
import type { CommandHead } from "./command.ts";
import { createCopies } from "./copies.ts";
import { type Again, AGAIN, openAgain } from "./again.ts";
import { createDeadLetters, type DeadLetters } from "./dead-letters.ts";
import { type Delivery, type DeliveryTarget, startDelivery } from "./deliver.ts";
import { createFailures } from "./failures.ts";
import { type Holdings, openHoldings } from "./holdings.ts";
import { forgetOrigin, memberOf, readOrigin } from "./origin.ts";
import { type CourierPeers, GONE_MS, type StreamName } from "./peers.ts";
import { openProgressFile } from "./progress-file.ts";
import { type Entry, openSpool, type Spool, type SpoolOptions } from "./spool.ts";

const COPY_AGAIN_EVERY_MS = 5000;
const RELEASE_EVERY_MS = 2000;

/** By spool ("" is this courier's own): the number of the newest that is in it. */
export type Marks = ReadonlyMap<string, number>;

/** What waits here for a target. */
export interface Waiting {
  /** Whether all up to the marks is there. */
  reached: boolean;
  commands: number;
  /** How long the oldest has waited, milliseconds. */
  oldestMs: number;
}

export interface Stream {
  /** Its name among the others' spools. */
  readonly origin: string;
  readonly holdings: Holdings;
  readonly bytes: number;
  /**
   * Keeps a command here and at one other courier, if one answers. Resolves with how many have it.
   * Throws Fault `courier.spool-full`, `courier.spool-failed`.
   */
  take(head: CommandHead, body: Buffer): Promise<{ id: string; copies: number }>;
  /** There may be something to deliver. */
  wake(): void;
  marks(): Marks;
  waiting(target: string, marks: Marks): Promise<Waiting>;
  /** What targets refused, and the way to try it again. */
  dead: Dead;
  /** Commands that no other courier has taken a copy of. */
  singleCopies(): number;
  /** Every spool whose commands lie here: this courier's, and copies of others'. */
  spools(): Spool[];
  close(): Promise<void>;
}

export interface Dead extends DeadLetters, Pick<Again, "retry"> {
  /** Those that something can be tried at again. */
  targets: readonly string[];
}

export interface StreamDeps extends SpoolOptions {
  name: StreamName;
  /** This member. */
  id: string;
  /** Where all of it lies. */
  folder: string;
  targets: readonly DeliveryTarget[];
  /** When a node was deleted, milliseconds since the epoch. */
  deletedAt?: (certname: string) => number | undefined;
  peers: CourierPeers;
  log: Log;
  /** Ends its loops; `close` waits for them. */
  signal: AbortSignal;
}

/** A spool whose commands are this courier's to deliver. */
interface Source {
  /** "": this courier's own. */
  origin: string;
  spool: Spool;
  first(): number;
}

export async function openStream(deps: StreamDeps): Promise<Stream> {
  const { name, id, folder, targets, log, signal, bytesMax } = deps;
  // A dashboard may be gone for good: PuppetDB's commands, etcd and puppetserver keep their room.
  const limits = {
    ...(bytesMax === undefined ? {} : { bytesMax }),
    leavesHalf: name === "uploads",
  };
  await makeFolder(folder, { mode: 0o700 });
  const damaged = async (what: string) =>
    log.error("the disk has damaged what waits there", { folder: join(folder, what) });
  const spool = await openSpool(join(folder, "spool"), {
    ...limits,
    onDamage: async () => {
      await damaged("spool");
      await forgetOrigin(folder);
    },
  });
  const onDamage = async () => damaged("copies");
  const holdings = await openHoldings(join(folder, "copies"), { ...limits, onDamage });
  const progress = await openProgressFile(join(folder, "progress.json"), { log, signal });
  const dead = createDeadLetters(join(folder, "dead"));
  // What was brought to somebody and isn't there: numbers were given that would be given again.
  if (targets.some((to) => progress.of("", to.id).isBeyond(spool.next))) {
    await damaged("spool");
    await forgetOrigin(folder);
  }
  const origin = await readOrigin(folder, id);
  const copiesOf = deps.peers.copiesOf(name, origin);
  /** Whether nobody else delivers that spool: its courier is silent, or has another one now. */
  const isGone = (held: string) => {
    const peer = deps.peers.list.find((one) => one.id === memberOf(held));
    if (peer === undefined || peer.silentMs() > GONE_MS) return true;
    return (peer.state()?.origins[name] ?? held) !== held;
  };
  const own: Source = { origin: "", spool, first: () => spool.first };
  const sources = (): Source[] => [own, ...holdings.all().filter((held) => isGone(held.origin))];
  const lowest = (from: string) =>
    targets.length === 0 ? 0 : Math.min(...targets.map((to) => progress.of(from, to.id).upTo));

  const deliveries: Delivery[] = [];
  const wake = () => {
    for (const delivery of deliveries) delivery.wake();
  };
  const ids = targets.map((target) => target.id);
  const again = await openAgain(join(folder, "again"), ids, { ...limits, dead, progress, wake });
  const failures = new Map(ids.map((to) => [to, createFailures()]));
  const deliver = (from: Source, target: DeliveryTarget, mayDeliver: () => boolean) => {
    const setAside = async ({ head }: Entry, body: Buffer) => again.take(target.id, head, body);
    const delivery = startDelivery({
      ...from,
      progress: progress.of(from.origin, target.id),
      target,
      failures: failures.get(target.id) ?? createFailures(),
      mayDeliver,
      deletedAt: deps.deletedAt ?? (() => undefined),
      bury: async ({ head }, body, because) => {
        await dead.bury(target.id, head, body, because);
        const { kind, certname } = head;
        log.error("a command is refused for good", { by: target.id, kind, certname, because });
      },
      ...(from.origin === AGAIN ? {} : { setAside }),
      onDone: () => progress.changed(),
      log,
      signal,
    });
    deliveries.push(delivery);
  };
  for (const target of targets) {
    deliver(own, target, () => true);
    const retried = again.spools.get(target.id);
    if (retried === undefined) continue;
    deliver({ origin: AGAIN, spool: retried, first: () => retried.first }, target, () => true);
  }
  const adopted = new Set<string>();
  const adopt = () => {
    for (const holding of holdings.all()) {
      if (adopted.has(holding.origin)) continue;
      adopted.add(holding.origin);
      for (const target of targets) deliver(holding, target, () => isGone(holding.origin));
    }
  };

  const copies = createCopies(spool, copiesOf, () => lowest(""));
  const loop = async (everyMs: number, body: () => Promise<void>) => {
    while (!signal.aborted) {
      await body().catch((error: unknown) => {
        if (!signal.aborted) log.warn("a round of the courier failed", { why: messageOf(error) });
      });
      await pause(everyMs, signal);
    }
  };
  const releaseOwn = async () => {
    const upTo = lowest("");
    if (upTo < spool.first) return;
    await copiesOf.release(upTo);
    await spool.drop(upTo);
  };
  const loops = [
    loop(COPY_AGAIN_EVERY_MS, async () => copies.again()),
    loop(RELEASE_EVERY_MS, async () => {
      adopt();
      const gone = holdings.all().filter(({ origin: held }) => isGone(held));
      // Each by itself: on a full disk one that fails mustn't keep the others.
      const released = await Promise.allSettled([
        again.release(),
        ...gone.map(async ({ origin: held, spool: from }) => from.drop(lowest(held))),
        releaseOwn(),
      ]);
      for (const one of released) if (one.status === "rejected") throw one.reason;
    }),
  ];
  await progress.save();
  return {
    origin,
    holdings,
    wake,
    get bytes() {
      return spool.bytes;
    },
    async take(head, body) {
      const spooled = { ...head, id: randomUUID(), takenMs: wallMs() };
      const seq = await spool.append(spooled, body);
      const copy = await copiesOf.copy(seq, spooled, body);
      if (copy === undefined) copies.note(seq);
      wake();
      return { id: spooled.id, copies: copy === undefined ? 1 : 2 };
    },
    marks: () => new Map(sources().map((from) => [from.origin, from.spool.next - 1])),
    async waiting(target, marks) {
      // What it refused before makes it no less fit while it is tried again.
      let [commands, oldestMs, reached] = [again.waiting(target), 0, true];
      for (const from of sources()) {
        const done = progress.of(from.origin, target);
        done.startAt(from.first());
        commands += from.spool.next - 1 - done.upTo - done.aheadCount;
        if (done.upTo < (marks.get(from.origin) ?? 0)) reached = false;
        const [oldest] = await from.spool.read(done.upTo + 1, 1);
        if (oldest !== undefined) oldestMs = Math.max(oldestMs, wallMs() - oldest.head.takenMs);
      }
      return { reached, commands, oldestMs };
    },
    dead: { ...dead, retry: async (letter) => again.retry(letter), targets: ids },
    singleCopies: () => copies.single(),
    spools: () => [spool, ...holdings.all().map((held) => held.spool)],
    async close() {
      await Promise.all([...loops, ...deliveries.map(({ ended }) => ended)]);
      await progress.save();
      await spool.close();
      await holdings.close();
      await again.close();
    },
  };
}
