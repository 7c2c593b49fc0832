// The courier's parts, wired: commands into the spool and to a second courier, from there to every
// PuppetDB; queries to a fit one. The idea: whatever was answered with 200 is on two disks, and
// leaves them only when every PuppetDB has it. It knows no etcd and no daemon.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import type { SyncStatus } from "../cluster/sync-status.ts";
import type { CommandHead } from "./command.ts";
import type { CourierConfig } from "./config.ts";
import { type Deletions, openDeletions } from "./deletions.ts";
import { createFailedRuns, type FailedRunsKept } from "./failed-runs.ts";
import { type Backlog, judgeFit, type Judged, judgeSynced } from "./fit.ts";
import { startGuard } from "./guard-watch.ts";
import type { Holdings } from "./holdings.ts";
import { createCourierPeers, PeerState } from "./peers.ts";
import { createPuppetDbTarget } from "./puppetdb-target.ts";
import { shareDeletions } from "./share-deletions.ts";
import { createPuppetDbClient, type Health, type PuppetDbClient } from "./puppetdb-client.ts";
import { createQueries } from "./queries.ts";
import { createReceiver, type Receiver } from "./receiver.ts";
import { createSharedTarget, SHARED_DATABASE } from "./shared-target.ts";
import { type Dead, type Marks, openStream, type Stream } from "./stream.ts";
import { startOwnSync } from "./sync/start.ts";
import type { Sync } from "./sync/sync.ts";
import { inTurn } from "./turns.ts";
import { createUploads, type Uploads } from "./uploads.ts";

const LOOK_EVERY_MS = 2000;

/** One PuppetDB as this courier sees it. */
interface Target {
  client: PuppetDbClient;
  health: Health;
  /** What must be there before it has caught up. */
  marks: Marks;
  backlog: Backlog;
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
  /** Where reports go besides. */
  receivers: ReceiverStatus[];
  /** Of this server's PuppetDB; absent: it has none. */
  sync?: SyncStatus;
}

interface ReceiverStatus {
  name: string;
  url: string;
  /** Why it took nothing when it was tried last; empty: it took it. */
  because: string;
  /** Reports that wait for it, and how long the oldest has, milliseconds. */
  reports: number;
  oldestMs: number;
  deadLetters: number;
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
  /** Brings that one level with the others. */
  sync: Sync | undefined;
  /** Every PuppetDB that answers queries now, fit or not. */
  answering(): PuppetDbClient[];
  holdings: Holdings;
  /** Commands that a PuppetDB refused, and the way to try them again. */
  dead: Dead;
  /** Nodes that were deleted, and when. */
  deletions: Deletions;
  /** Agents' runs that failed, of late. */
  failedRuns: FailedRunsKept;
  /** Reports for receivers; absent where there are none. */
  uploads: Uploads | undefined;
  /** For other couriers: what waits here for which PuppetDB, and which one queries go to. */
  state(): PeerState;
  status(): Promise<CourierStatus>;
  close(): Promise<void>;
}

interface Pem {
  ca: string;
  cert: string;
  key: string;
}

export interface CourierDeps {
  log: Log;
  /** PEM of the edge CA's certificates; read at each new connection. */
  peerTls: Pem;
  /** The same of this server's Puppet certificate, for receivers. */
  puppetTls: Pem;
}

/** Starts the courier that `config` describes, but for its doors. */
export async function startCourier(config: CourierConfig, deps: CourierDeps): Promise<Courier> {
  const { log } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  const limit = config.spoolBytesMax === undefined ? {} : { bytesMax: config.spoolBytesMax };
  const streams: Stream[] = [];
  const wake = () => {
    for (const stream of streams) stream.wake();
  };
  const peers = createCourierPeers(config, deps.peerTls, { log, signal, onChange: wake });
  const more = { id: config.id, peers, log, signal, ...limit };
  const targets = config.puppetdbs.map((id) => createTarget(config, id, deps.peerTls));
  const deletions = await openDeletions(join(config.stateDir, "deleted"), wallMs());
  const share = shareDeletions(deletions, peers);
  const puppetdbs = targets.map((target) =>
    createPuppetDbTarget({
      client: target.client,
      writable: () => target.health.writable,
      look: async () => lookAtTarget(target),
      deletions,
      announce: share.announce,
    }),
  );
  const commands = await openStream({
    ...more,
    name: "commands",
    folder: config.stateDir,
    deletedAt: (certname) => deletions.at(certname),
    targets: config.shared ? [createSharedTarget(puppetdbs)] : puppetdbs,
  });
  const bringsTo = ({ client: { id } }: Target) => (config.shared ? SHARED_DATABASE : id);
  streams.push(commands);
  const receivers = config.receivers.map((one) => createReceiver(one, () => deps.puppetTls));
  const folder = join(config.stateDir, "uploads");
  const forReceivers =
    receivers.length === 0
      ? undefined
      : await openStream({ ...more, name: "uploads", folder, targets: receivers });
  if (forReceivers !== undefined) streams.push(forReceivers);
  const uploads = forReceivers && (await createUploads(forReceivers, peers, config.id));
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
  const lookAtTarget = async (target: Target): Promise<void> => {
    const before = target.health.writable;
    const health = await target.client.health(signal);
    if (target === local) await sync?.looked(health);
    target.health = health;
    if (target === local) guard.saw(health);
    if (target.health.writable && !before) {
      target.marks = commands.marks();
      wake();
    }
    const { reached, ...waiting } = await commands.waiting(bringsTo(target), target.marks);
    target.backlog = { ...waiting, caughtUp: reached && target.health.writable };
  };
  const caughtUp = ({ client: { id }, health, backlog }: Target): Judged => {
    const others = peers.list
      .filter((peer) => peer.reachable())
      .map((peer) => ({ id: peer.id, backlog: peer.state()?.backlog[id] }));
    return judgeFit(health, backlog, others);
  };
  const notReady = (target: Target) => caughtUp(target).because;
  const lost = (target: Target) => guard.because(target.client.id);
  const own = puppetdbs.find(({ id }) => id === config.id);
  const sync = config.shared
    ? undefined
    : await startOwnSync(config, targets, {
        notReady,
        lost,
        deletedAt: (certname) => deletions.at(certname),
        send: async (...args) => (await own?.send(...args)) ?? { status: 0, body: "none here" },
        log,
        signal,
      });
  const look = async (what: string, at: () => Promise<void>) => {
    while (!signal.aborted) {
      await at().catch((error: unknown) => {
        if (!signal.aborted) log.warn(`${what} failed`, { why: messageOf(error) });
      });
      await pause(LOOK_EVERY_MS, signal);
    }
  };
  const looks = [
    ...targets.map(async (to) => look("a look at a PuppetDB", async () => lookAtTarget(to))),
    look("hearing of deleted nodes", share.hear),
  ];

  const judged = (target: Target): Judged => {
    const { id } = target.client;
    const elsewhere = peers.list.find((peer) => peer.id === id)?.state()?.sync;
    const known = target === local ? sync?.status() : elsewhere;
    const filling = config.filling.includes(id);
    const verdict = judgeSynced(caughtUp(target), { filling, sync: known });
    const because = verdict.fit ? guard.because(id) : verdict.because;
    return { fit: because === "", because };
  };
  const isFit = (id: string) => targets.some((one) => one.client.id === id && judged(one).fit);
  const queries = await createQueries(config, { peers: peers.list, isFit, log });
  looks.push(look("following an order", async () => queries.follow()));
  return {
    local: local?.client,
    sync,
    answering: () => targets.filter(({ health }) => health.readable).map(({ client }) => client),
    async take(head, body) {
      const kept = await commands.take(head, body);
      if (head.kind === "deletion")
        await share.announce(head).catch((error: unknown) => {
          // Before it is delivered, that is done again.
          log.warn("a deletion can't be told to all yet", { why: messageOf(error) });
        });
      return kept;
    },
    holdings: commands.holdings,
    dead: commands.dead,
    deletions,
    failedRuns: createFailedRuns(),
    uploads,
    forQueries() {
      const chosen = queries.choose();
      const target = targets.find(({ client }) => client.id === chosen);
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
      origins: {
        commands: commands.origin,
        ...(forReceivers && { uploads: forReceivers.origin }),
      },
      backlog: Object.fromEntries(targets.map((one) => [one.client.id, one.backlog])),
      queries: queries.chosen(),
      ...guard.state(),
      deletions: deletions.version,
      ...(sync === undefined ? {} : { sync: PeerState.shape.sync.parse(sync.status()) }),
    }),
    async status() {
      const puppetdbs = targets.map(async (one) => ({
        id: one.client.id,
        ...judged(one),
        ...one.backlog,
        deadLetters: await commands.dead.count(bringsTo(one)),
      }));
      return {
        id: config.id,
        couriers: peers.list.map((peer) => ({ id: peer.id, reachable: peer.reachable() })),
        singleCopies: commands.singleCopies(),
        spoolBytes: commands.bytes,
        puppetdbs: await Promise.all(puppetdbs),
        queries: queries.chosen()?.id,
        receivers: forReceivers === undefined ? [] : await statusOf(receivers, forReceivers),
        ...(sync === undefined ? {} : { sync: sync.status() }),
      };
    },
    async close() {
      stopping.abort();
      await Promise.all([...looks, guard.ended, sync?.ended]);
      await queries.kept();
      for (const stream of streams) await stream.close();
      await deletions.close();
      for (const { client } of targets) client.close();
      peers.close();
    },
  };
}

async function statusOf(receivers: readonly Receiver[], stream: Stream): Promise<ReceiverStatus[]> {
  return Promise.all(
    receivers.map(async (receiver) => {
      const { id: name, url } = receiver;
      const { commands: reports, oldestMs } = await stream.waiting(name, new Map());
      const deadLetters = await stream.dead.count(name);
      return { name, url, because: receiver.because(), reports, oldestMs, deadLetters };
    }),
  );
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
  const client = createPuppetDbClient(address);
  return {
    client: local === undefined ? client : inTurn(client),
    health: { writable: false, readable: false, because: "it hasn't been looked at yet" },
    marks: new Map(),
    backlog: { caughtUp: false, commands: 0, oldestMs: 0 },
  };
}

/** Certificates of the edge CA, as the configuration names them. */
export async function readPeerTls({ peerTls }: CourierConfig): Promise<CourierDeps["peerTls"]> {
  const [ca, cert, key] = await Promise.all(
    [peerTls.ca, peerTls.clientCert, peerTls.clientKey].map(async (path) => readFile(path, "utf8")),
  );
  return { ca: ca ?? "", cert: cert ?? "", key: key ?? "" };
}
