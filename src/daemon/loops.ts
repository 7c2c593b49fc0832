// The loops of a daemon: each brings one thing to what the record wants, on a timer and when woken.
// Any error from etcd means "the record is unknown": the loop fails, and everything stays as it is.

import type { Acts } from "../base/acts.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { Ca } from "../ca/authority.ts";
import type { Leadership } from "../cluster/leader.ts";
import { applyOwnEtcd, observeOwnEtcd, planOwnEtcd } from "../cluster/own-etcd.ts";
import type { Peers } from "../cluster/peer.ts";
import type { PkiOwners } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Voters } from "../cluster/voters-loop.ts";
import { drillUnderWay, isPaused } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import type { CourierRunner } from "./courier.ts";
import type { EdgeRunner } from "./edge.ts";
import { startEjectedLoop } from "./ejected.ts";
import type { ExpiryWatch } from "./expiry-watch.ts";
import { startFilledLoop } from "./filled.ts";
import type { HostCertificate } from "./host-certificate.ts";
import type { Neighbours } from "./neighbours.ts";
import { keepRecords } from "./own-record.ts";
import type { OwnLeaves } from "./own-leaves.ts";
import type { Refusals } from "./pki-loop.ts";
import { keepVip } from "./vip.ts";
import { createAddressDrain } from "./vip-drain.ts";

const UPKEEP_TICK_MS = 5000;
/** What the view wakes, or what changes with a puppetserver's configuration or its disk only. */
const SELDOM_TICK_MS = 10_000;
const LEAVES_TICK_MS = 60_000;
const EXPIRY_TICK_MS = 600_000;
/** How often a unit is looked at while nothing has changed: each look costs a process or two. */
const UNIT_EVERY_TICKS = 6;

/** The loop that keeps keepalived as it must be. */
export const VIRTUAL_IPS = "virtual IPs";

/** The loop that renews them, and has puppetserver load what has changed. */
export const OWN_CERTIFICATES = "own certificates";

export interface LoopHost {
  node: NodeFile;
  layout: PuppetLayout;
  owners: PkiOwners;
  etcd: Etcd;
  peers: Peers;
  keeper: ViewKeeper;
  neighbours: Neighbours;
  refusals: Refusals;
  leaves: OwnLeaves;
  takenOut: { because: string };
  take: { address: string };
  voters: Voters;
  acts: Acts;
  log: Log;
  signal: AbortSignal;
}

/** The loops of every member. `leads` says whether it runs the cluster's chores now. */
export function startMemberLoops(
  host: LoopHost,
  expiry: ExpiryWatch,
  leads: () => boolean,
): Loop[] {
  const { refusals } = host;
  const recordLoop = startLoop({
    ...named(host, "own record", SELDOM_TICK_MS),
    body: async () => withRecord(host, async (view) => keepRecords(host, view, leads())),
  });
  host.keeper.onChange(() => recordLoop.wake());
  return [
    startLoop({ ...named(host, "refusals"), body: async () => refusals.sync() }),
    startLoop({
      ...named(host, OWN_CERTIFICATES, LEAVES_TICK_MS),
      body: async () =>
        withRecord(host, async (view) => {
          if (!isPaused(view.work, host.node.id, wallMs(), "chores")) await host.leaves.tick(view);
        }),
    }),
    recordLoop,
    startLoop({ ...named(host, "expiry watch", EXPIRY_TICK_MS), body: async () => expiry.tick() }),
  ];
}

/** What a server's loops keep. */
export interface ServerLoopParts {
  ca: Ca;
  edge: EdgeRunner;
  hostCertificate: Pick<HostCertificate, "keep">;
  courier: Pick<CourierRunner, "tick" | "status">;
  onWake(wake: () => void): void;
}

/** The loops of a server, the CA's among them. A new CRL wakes the edge through `onWake`. */
export function startServerLoops(
  host: LoopHost,
  server: ServerLoopParts,
  leadership: Leadership,
): Loop[] {
  const { keeper, log, node, signal } = host;
  const { edge, hostCertificate } = server;
  const caLoops = server.ca.startLoops(signal);
  const edgeLoop = startLoop({
    ...named(host, "edge"),
    body: async () => edge.tick(),
  });
  const paused = (scope?: "addresses" | "chores") => {
    const view = keeper.current();
    return view !== undefined && isPaused(view.work, node.id, wallMs(), scope);
  };
  const vipChanges = createChanges(UNIT_EVERY_TICKS);
  const drain = createAddressDrain(host);
  const etcdChanges = createChanges(UNIT_EVERY_TICKS);
  const vipLoop = startLoop({
    ...named(host, VIRTUAL_IPS),
    body: async () => {
      const view = keeper.current();
      // keepalived watches the edge itself; before there is one, it has nothing to watch.
      if (view === undefined || !edge.status().active || paused("addresses")) return;
      const isolated = !keeper.record().reachable;
      const take = host.take.address;
      const given = [view.settings, view.members, isolated, take, drain.changes(view)];
      const how = { node, isolated, take, drain, log, acts: host.acts };
      await vipChanges.act(given, async () => keepVip(view, how));
    },
  });
  const etcdLoop = startLoop({
    ...named(host, "own etcd"),
    body: async () =>
      withRecord(host, async () => {
        if (!paused() && !isLost(host)) await keepOwnEtcd(host, etcdChanges);
      }),
  });
  const votersLoop = startLoop({
    ...named(host, "voters"),
    body: async () =>
      withRecord(host, async (view) => {
        // It leads all the same: what somebody waits for goes on.
        if (!(await leadership.tick()) || paused("chores")) host.voters.rest();
        else await host.voters.step(view, (id) => host.neighbours.reachable(id));
      }),
  });
  const certificateLoop = startLoop({
    ...named(host, "Puppet certificate", SELDOM_TICK_MS),
    body: async () => {
      await withRecord(host, async ({ settings }) => {
        // Stock's CA is asked by an administrator: status warns in time.
        if (server.ca.ejected() !== undefined || paused("chores")) return;
        if (await hostCertificate.keep(settings)) edgeLoop.wake();
      });
    },
  });
  const courierLoop = startLoop({
    ...named(host, "courier"),
    body: async () => {
      const view = keeper.current();
      if (view !== undefined && !paused())
        await server.courier.tick(view, keeper.record().reachable);
    },
  });
  server.onWake(() => edgeLoop.wake());
  keeper.onChange(() => {
    edgeLoop.wake();
    vipLoop.wake();
    etcdLoop.wake();
    certificateLoop.wake();
    courierLoop.wake();
  });
  const ejectedLoop = startEjectedLoop(host, server.ca);
  const filledLoop = startFilledLoop(host, server.courier);
  const own = [edgeLoop, vipLoop, etcdLoop, votersLoop, certificateLoop, ejectedLoop, courierLoop];
  return [...caLoops, ...own, filledLoop];
}

/** Whether a drill keeps this server's etcd away; a timer brings it back. */
function isLost({ keeper, node }: LoopHost): boolean {
  const view = keeper.current();
  const drill = view && drillUnderWay(view.work, wallMs());
  return drill?.kind === "etcd-loss" && drill.server === node.id;
}

interface Changes {
  act(given: unknown, act: () => Promise<void>): Promise<void>;
}

/** Acts when what it is given has changed, when it failed last, and every so many times. */
export function createChanges(everyTimes: number): Changes {
  let done: string | undefined;
  let times = 0;
  return {
    async act(given, act) {
      const now = JSON.stringify(given);
      times += 1;
      if (now === done && times % everyTimes !== 0) return;
      done = undefined;
      await act();
      done = now;
    },
  };
}

async function keepOwnEtcd(host: LoopHost, changes: Changes): Promise<void> {
  const { etcd, node, owners, log } = host;
  // Read anew: data must never be set aside on the word of an old list.
  const members = (await etcd.members.list()).map(({ id, ...rest }) => ({ etcdId: id, ...rest }));
  await changes.act(members, async () => {
    const actions = planOwnEtcd(node.address, await observeOwnEtcd(members));
    host.acts.note("own etcd", actions);
    for (const action of actions) {
      await applyOwnEtcd(action, { ...node, owner: owners.etcd }, log);
    }
  });
}

/** Runs `body` with the view while the record can be read; does nothing otherwise. */
async function withRecord(host: LoopHost, body: (view: View) => Promise<void>): Promise<void> {
  const view = host.keeper.current();
  if (view !== undefined && host.keeper.record().reachable) await body(view);
}

function named({ log, signal }: LoopHost, name: string, everyMs = UPKEEP_TICK_MS) {
  return { name, everyMs, log, signal };
}
