// The courier's parts, wired: commands into the spool and to a second courier, from there to every
// PuppetDB; queries to a fit one. The idea: whatever was answered with 200 is on two disks, and
// leaves them only when every PuppetDB has it. It knows no etcd and no daemon.

import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import { makeFolder } from "../host/files.ts";
import type { CommandHead } from "./command.ts";
import type { CourierConfig } from "./config.ts";
import { createCopies } from "./copies.ts";
import { type Again, AGAIN, openAgain } from "./again.ts";
import { createDeadLetters, type DeadLetters } from "./dead-letters.ts";
import { startDelivery, type Delivery } from "./deliver.ts";
import { type Backlog, chooseForQueries, judgeFit, type Judged } from "./fit.ts";
import { startGuard } from "./guard-watch.ts";
import { type Deletions, openDeletions } from "./deletions.ts";
import { shareDeletions } from "./share-deletions.ts";
import { openHoldings, type Holdings } from "./holdings.ts";
import { createCourierPeers, GONE_MS, type PeerState } from "./peers.ts";
import { openProgressFile, type ProgressFile } from "./progress-file.ts";
import type { Progress } from "./progress.ts";
import { memberOf, readOrigin } from "./origin.ts";
import { createPuppetDbClient, type Health, type PuppetDbClient } from "./puppetdb-client.ts";
import { readUsed, rememberUsed } from "./queries-file.ts";
import { openSpool, type Spool } from "./spool.ts";

const LOOK_EVERY_MS = 2000;
const COPY_AGAIN_EVERY_MS = 5000;
const RELEASE_EVERY_MS = 2000;

/** One PuppetDB as this courier sees it. */
interface Target {
  client: PuppetDbClient;
  health: Health;
  /** By spool ("" is this courier's own): what must be there before it has caught up. */
  marks: Map<string, number>;
  backlog: Backlog;
  look: () => Promise<void>;
}

/** What the courier says of itself. */
export interface CourierStatus {
  id: string;
  couriers: { id: string; reachable: boolean }[];
  /** Commands that were taken while no other courier answered, and still have one copy. */
  singleCopies: number;
  spoolBytes: number;
  puppetdbs: (Judged & Backlog & { id: string; deadLetters: number })[];
  /** Where queries go. */
  queries: string | undefined;
}

export interface Courier {
  /**
   * Keeps a command here and at one other courier, if one answers. Resolves with how many have it.
   * Throws Fault `courier.spool-full`, `courier.spool-failed`.
   */
  take(head: CommandHead, body: Buffer): Promise<{ id: string; copies: number }>;
  /** The PuppetDB that a query goes to, or why none does. */
  forQueries(): { client: PuppetDbClient } | { because: string };
  /** It didn't answer: it is unfit until it is looked at again. */
  lost(id: string, because: string): void;
  /** This server's own PuppetDB, for other couriers. */
  local: PuppetDbClient | undefined;
  holdings: Holdings;
  /** Commands that a PuppetDB refused, and the way to try them again. */
  dead: DeadLetters & Pick<Again, "retry">;
  /** Nodes that were deleted, and when. */
  deletions: Deletions;
  /** For other couriers: what waits here for which PuppetDB, and which one queries go to. */
  state(): PeerState;
  status(): Promise<CourierStatus>;
  close(): Promise<void>;
}

export interface CourierDeps {
  log: Log;
  /** PEM of the edge CA's certificates; read at each new connection. */
  peerTls: { ca: string; cert: string; key: string };
}

/** Starts the courier that `config` describes, but for its doors. */
export async function startCourier(config: CourierConfig, deps: CourierDeps): Promise<Courier> {
  const { log } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  await makeFolder(config.stateDir, { mode: 0o700 });
  const limit = config.spoolBytesMax === undefined ? {} : { bytesMax: config.spoolBytesMax };
  const spool = await openSpool(join(config.stateDir, "spool"), limit);
  const holdings = await openHoldings(join(config.stateDir, "copies"), limit);
  const progress = await openProgressFile(join(config.stateDir, "progress.json"), { log, signal });
  const deletions = await openDeletions(join(config.stateDir, "deleted"), wallMs());
  const dead = createDeadLetters(join(config.stateDir, "dead"));
  const deliveries: Delivery[] = [];
  const wake = () => {
    for (const delivery of deliveries) delivery.wake();
  };
  const again = await openAgain(join(config.stateDir, "again"), config.puppetdbs, {
    ...limit,
    dead,
    progress,
    wake,
  });
  const origin = await readOrigin(config.stateDir, config.id);
  const peers = createCourierPeers(config, deps.peerTls, { origin, log, signal, onChange: wake });
  /** Whether nobody else delivers that spool: its courier is silent, or has another one now. */
  const isGone = (held: string) => {
    const peer = peers.list.find(({ id }) => id === memberOf(held));
    if (peer === undefined || peer.silentMs() > GONE_MS) return true;
    return (peer.state()?.origin ?? held) !== held;
  };

  const share = shareDeletions(deletions, peers);
  const targets = config.puppetdbs.map((id) => createTarget(config, id, deps.peerTls));
  const local = targets.find(({ client }) => client.id === config.id);
  const guard = await startGuard(join(config.stateDir, "had.json"), {
    puppetdbs: config.puppetdbs,
    local: local?.client,
    accepted: config.accepted,
    deleted: () => deletions.count,
    peers: peers.list,
    log,
    signal,
  });
  const deliver = (target: Target, origin: string, from: Spool, more: Partial<Source> = {}) => {
    const delivery = startDelivery({
      spool: from,
      progress: progress.of(origin, target.client.id),
      first: () => from.first,
      ...more,
      puppetdb: target.client,
      health: () => target.health,
      look: async () => target.look(),
      bury: async (entry, body, because) => {
        await dead.bury(target.client.id, entry.head, body, because);
        const { kind, certname } = entry.head;
        log.error("PuppetDB will not take a command", {
          puppetdb: target.client.id,
          kind,
          certname,
          because,
        });
      },
      deletedAt: (certname) => deletions.at(certname),
      announce: share.announce,
      onDone: () => progress.changed(),
      log,
      signal,
    });
    deliveries.push(delivery);
  };
  for (const target of targets) {
    deliver(target, "", spool);
    const retried = again.spools.get(target.client.id);
    if (retried !== undefined) deliver(target, AGAIN, retried);
  }
  const adopted = new Set<string>();
  const adopt = () => {
    for (const holding of holdings.all()) {
      const { origin: held, spool: from } = holding;
      const first = () => holding.first();
      if (adopted.has(held)) continue;
      adopted.add(held);
      for (const target of targets) {
        deliver(target, held, from, { first, mayDeliver: () => isGone(held) });
      }
    }
  };

  /** The spools whose commands are this courier's to deliver now. */
  const sources = (): { origin: string; spool: Spool; first: number }[] => [
    { origin: "", spool, first: spool.first },
    ...holdings
      .all()
      .filter((holding) => isGone(holding.origin))
      .map((holding) => ({ ...holding, first: holding.first() })),
  ];
  const lookAtTarget = async (target: Target) => {
    const before = target.health.writable;
    target.health = await target.client.health(signal);
    if (target === local) guard.saw(target.health);
    if (target.health.writable && !before) {
      target.marks = new Map(sources().map(({ origin, spool: from }) => [origin, from.next - 1]));
      wake();
    }
    target.backlog = await backlogOf(target, sources(), progress);
    // What it refused before makes it no less fit while it is tried again.
    target.backlog.commands += again.waiting(target.client.id);
  };
  for (const target of targets) target.look = async () => lookAtTarget(target);
  const loop = async (everyMs: number, body: () => Promise<void>) => {
    while (!signal.aborted) {
      await body().catch((error: unknown) => {
        if (!signal.aborted) log.warn("a round of the courier failed", { why: messageOf(error) });
      });
      await pause(everyMs, signal);
    }
  };
  const copies = createCopies(spool, peers, () => lowest(targets, progress));
  const loops = [
    ...targets.map(async (target) => loop(LOOK_EVERY_MS, async () => target.look())),
    loop(COPY_AGAIN_EVERY_MS, async () => copies.again()),
    loop(LOOK_EVERY_MS, async () => share.hear()),
    loop(RELEASE_EVERY_MS, async () => {
      adopt();
      await again.release();
      for (const { origin: held, spool: from } of holdings.all()) {
        if (isGone(held)) await from.drop(lowest(targets, progress, held));
      }
      const upTo = lowest(targets, progress);
      if (upTo < spool.first) return;
      await peers.release(upTo);
      await spool.drop(upTo);
    }),
  ];

  const judged = ({ client: { id }, health, backlog }: Target): Judged => {
    const others = peers.list
      .filter((peer) => peer.reachable())
      .map((peer) => ({ id: peer.id, backlog: peer.state()?.backlog[id] }));
    const verdict = judgeFit(health, backlog, others);
    if (!verdict.fit) return verdict;
    const fills = "it is filling: it answers after understudy puppetdb accept";
    const because = config.filling.includes(id) ? fills : guard.because(id);
    return { fit: because === "", because };
  };
  const used = join(config.stateDir, "queries");
  let { id: chosen, followed } = await readUsed(used, config.puppetdbs);
  const isFit = (id: string) => targets.some((one) => one.client.id === id && judged(one).fit);
  return {
    local: local?.client,
    holdings,
    deletions,
    dead: { ...dead, retry: async (letter) => again.retry(letter) },
    async take(head, body) {
      const id = randomUUID();
      const spooled = { ...head, id, takenMs: wallMs() };
      const seq = await spool.append(spooled, body);
      if (head.kind === "deletion")
        await share.announce(head).catch((error: unknown) => {
          // Before it is delivered, that is done again.
          log.warn("a deletion can't be told to all yet", { why: messageOf(error) });
        });
      const copy = await peers.copy(seq, spooled, body);
      if (copy === undefined) copies.note(seq);
      wake();
      return { id, copies: copy === undefined ? 1 : 2 };
    },
    forQueries() {
      const elsewhere = peers.list.map((peer) => peer.reachable() && peer.state()?.queries);
      const { use } = config;
      const told = use !== undefined && use.at !== followed ? use.id : undefined;
      const now = { told, here: chosen, elsewhere: elsewhere.map((id) => id || undefined) };
      const next = chooseForQueries(config.puppetdbs, isFit, now);
      if (use !== undefined && next === told) followed = use.at;
      if (next !== chosen) {
        log.info("queries go to another PuppetDB", { from: chosen ?? "none", to: next ?? "none" });
      }
      if (next !== undefined && (next !== chosen || next === told)) {
        void rememberUsed(used, { id: next, followed }, log);
      }
      chosen = next;
      const target = targets.find(({ client }) => client.id === next);
      if (target !== undefined) return { client: target.client };
      const why = targets.map((one) => `${one.client.id}: ${judged(one).because}`);
      return { because: `no PuppetDB is fit to answer. ${why.join("; ")}` };
    },
    lost(id, because) {
      const target = targets.find(({ client }) => client.id === id);
      if (target === undefined) return;
      target.health = {
        writable: false,
        readable: false,
        because: `it doesn't answer: ${because}`,
      };
    },
    state: () => ({
      id: config.id,
      origin,
      backlog: Object.fromEntries(targets.map((one) => [one.client.id, one.backlog])),
      ...(chosen === undefined ? {} : { queries: chosen }),
      ...guard.state(),
      deletions: deletions.version,
    }),
    async status() {
      const puppetdbs = targets.map(async (one) => ({
        id: one.client.id,
        ...judged(one),
        ...one.backlog,
        deadLetters: await dead.count(one.client.id),
      }));
      return {
        id: config.id,
        couriers: peers.list.map((peer) => ({ id: peer.id, reachable: peer.reachable() })),
        singleCopies: copies.single(),
        spoolBytes: spool.bytes,
        puppetdbs: await Promise.all(puppetdbs),
        queries: chosen,
      };
    },
    async close() {
      stopping.abort();
      await Promise.all([...loops, guard.ended, ...deliveries.map(({ ended }) => ended)]);
      await progress.save();
      await spool.close();
      await holdings.close();
      await again.close();
      await deletions.close();
      for (const { client } of targets) client.close();
      peers.close();
    },
  };
}

interface Source {
  first: () => number;
  mayDeliver: () => boolean;
}

function createTarget(config: CourierConfig, id: string, tls: CourierDeps["peerTls"]): Target {
  const courier = config.couriers.find((one) => one.id === id);
  const local = id === config.id ? config.localPuppetdb : undefined;
  const url =
    local ??
    (courier === undefined
      ? "http://127.0.0.1:8080"
      : `https://${courier.address}:${courier.port}/puppetdb`);
  const address = {
    id,
    url,
    ...(courier !== undefined && local === undefined
      ? { tls: () => ({ ...tls, servername: courier.hostname }) }
      : {}),
  };
  return {
    client: createPuppetDbClient(address),
    health: { writable: false, readable: false, because: "it hasn't been looked at yet" },
    marks: new Map(),
    backlog: { caughtUp: false, commands: 0, oldestMs: 0 },
    look: async () => undefined,
  };
}

async function backlogOf(
  { client, health, marks }: Target,
  sources: readonly { origin: string; spool: Spool; first: number }[],
  progress: ProgressFile,
): Promise<Backlog> {
  let [commands, oldestMs, caughtUp] = [0, 0, health.writable];
  for (const { origin, spool, first } of sources) {
    const done = progress.of(origin, client.id);
    done.startAt(first);
    commands += spool.next - 1 - done.upTo - done.aheadCount;
    if (done.upTo < (marks.get(origin) ?? 0)) caughtUp = false;
    const [oldest] = await spool.read(done.upTo + 1, 1);
    if (oldest !== undefined) oldestMs = Math.max(oldestMs, wallMs() - oldest.head.takenMs);
  }
  return { caughtUp, commands, oldestMs };
}

/** The number up to which every PuppetDB has a spool's commands; "" is this courier's own. */
function lowest(targets: readonly Target[], progress: ProgressFile, origin = ""): number {
  const all = targets.map(({ client }): Progress => progress.of(origin, client.id));
  return all.length === 0 ? 0 : Math.min(...all.map(({ upTo }) => upTo));
}

/** Certificates of the edge CA, as the configuration names them. */
export async function readPeerTls({ peerTls }: CourierConfig): Promise<CourierDeps["peerTls"]> {
  const [ca, cert, key] = await Promise.all(
    [peerTls.ca, peerTls.clientCert, peerTls.clientKey].map(async (path) => readFile(path, "utf8")),
  );
  return { ca: ca ?? "", cert: cert ?? "", key: key ?? "" };
}
