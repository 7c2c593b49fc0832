// The parts of a daemon, built and wired in the order in which they need each other. What they
// decide is theirs.

import { type Acts, createActs } from "../base/acts.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Loop } from "../base/loop.ts";
import type { Ca } from "../ca/authority.ts";
import { type Journal, openJournal } from "../ca/journal.ts";
import { type AccessKeeper, startAccessKeeper } from "../cluster/access-store.ts";
import { KEY_PREFIX } from "../cluster/keys.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import { createPeers, type Peers } from "../cluster/peer.ts";
import { type PkiOwners, readLeaf } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { startViewKeeper, type ViewKeeper } from "../cluster/view-keeper.ts";
import type { View } from "../cluster/view.ts";
import { createVoters, type Voters } from "../cluster/voters-loop.ts";
import { startCa } from "./ca.ts";
import { type CourierRunner, createCourierRunner } from "./courier.ts";
import { type Copier, startCopier } from "./copies.ts";
import { createEdgeRunner, type EdgeRunner } from "./edge.ts";
import { type History, openHistory } from "./history.ts";
import { createHostCertificate, type HostCertificate } from "./host-certificate.ts";
import { createNeighbours, type Neighbours } from "./neighbours.ts";
import { OWN_CERTIFICATES } from "./loops.ts";
import { createOwnLeaves, type OwnLeaves } from "./own-leaves.ts";
import { isIdle, keepOwn } from "./own-record.ts";
import { type Probe, startProbe } from "./probe.ts";
import { createRefusals, memberDoors, type Refusals } from "./pki-loop.ts";
import { createEtcd } from "../etcd/client.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { memoryOfHost } from "../host/facts.ts";
import { makeFolder } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { type PuppetLayout, readPuppetLayout } from "../host/puppet-layout.ts";
import { heedRemoval } from "../setup/stand-down.ts";
import { readSetupHost } from "../setup/setup-host.ts";

/** What every part of a running daemon may use. */
export interface Core {
  node: NodeFile;
  layout: PuppetLayout;
  owners: PkiOwners;
  etcd: Etcd;
  peers: Peers;
  keeper: ViewKeeper;
  /** Who may use the API over the network. */
  access: AccessKeeper;
  neighbours: Neighbours;
  refusals: Refusals;
  leaves: OwnLeaves;
  voters: Voters;
  history: History;
  /** What the loops planned last. */
  acts: Acts;
  /** Whether this member asks the others now to take it out. */
  asked: { out: boolean };
  /** Why this daemon keeps requests from its own puppetserver now; empty: it doesn't. */
  takenOut: { because: string };
  /** The virtual IP that keepalived is to take from whoever has it; empty: none. */
  take: { address: string };
  /** Run when our own certificates or the CRLs of our CAs have changed on disk. */
  reloads: (() => Promise<void>)[];
  /** This server's own copy of the record, as it is being opened; undefined where it is no server. */
  journal: Promise<Journal> | undefined;
  /** All that runs here on a timer, but for the view's loop: `keeper.record()` tells of that. */
  loops: Loop[];
  log: Log;
  signal: AbortSignal;
}

/** What only a server has. */
export interface ServerParts {
  ca: Ca;
  copier: Copier;
  edge: EdgeRunner;
  hostCertificate: HostCertificate;
  courier: CourierRunner;
  probe: Probe;
  /** Gives what a new CRL wakes. */
  onWake(wake: () => void): void;
}

export async function createCore(log: Log, stop: AbortController): Promise<Core> {
  const { signal } = stop;
  const node = await requireNodeFile();
  // Reading it through takes as long as puppet's answer, which is awaited meanwhile.
  const journal = node.role === "server" ? openJournal(PATHS.journal, { log }) : undefined;
  journal?.catch(() => undefined);
  // Throws where puppet doesn't answer: by a guess it could sign what an old list allows.
  const layout = await readPuppetLayout();
  const { owners } = await readSetupHost(layout);
  await makeFolder(PATHS.run);
  const { ca, cert, key } = await readLeaf("etcd");
  const etcd = createEtcd({
    endpoints: node.etcdEndpoints,
    tls: { ca, cert, key },
    sharedPrefix: KEY_PREFIX,
    log,
  });
  let control = await readLeaf("control");
  const peers = createPeers(() => control);
  const keeper = await startViewKeeper({ etcd, node, log, signal });
  const acts = createActs(wallMs);
  const history = await openHistory({
    id: node.id,
    folder: PATHS.history,
    etcd,
    keeper,
    log,
    signal,
  });
  const reachable = () => keeper.record().reachable;
  const access = await startAccessKeeper({ etcd, file: PATHS.accessFile, reachable, log, signal });
  const asked = { out: false };
  const onRemoved = async (by: string) => {
    // Whoever asked to be removed still awaits the answer, and stops everything then.
    if (signal.aborted || asked.out) return;
    log.error(`${by} says that this member was removed: it stands down`);
    await heedRemoval(log, () => stop.abort());
  };
  const neighbours = createNeighbours({ id: node.id, keeper, peers, onRemoved, log, signal });
  const reloads: Core["reloads"] = [];
  const readAnew = async () => {
    control = await readLeaf("control");
    for (const reload of reloads) await reload();
  };
  const takenOut = { because: "" };
  const leaves = createOwnLeaves({
    node,
    layout,
    owners,
    etcd,
    peers,
    log,
    clockIsRight: () => neighbours.clockIsRight(),
    takeOut: async (because) => {
      takenOut.because = because;
      await keepOwn({ etcd, node, layout, takenOut });
    },
    isIdle: async (view) => isIdle(view, node),
    onRenewed: async (renewed) => {
      const what = `${node.id}'s own certificates are renewed: ${renewed.join(", ")}`;
      history.note({ kind: "certificate", what, by: `loop "${OWN_CERTIFICATES}"` });
      etcd.setTls(await readLeaf("etcd"));
      await readAnew();
    },
  });
  const refusals = createRefusals({
    etcd,
    nowMs: monotonicMs,
    doors: memberDoors(node.role, owners, async (names) => {
      log.notice(`certificates of removed members are refused anew: ${names.join(", ")}`);
      await readAnew();
    }),
  });
  const voters = createVoters(etcd, log, acts);
  const parts = { node, layout, owners, etcd, peers, keeper, neighbours, refusals, leaves, voters };
  const loops = [neighbours.loop, access.loop];
  const take = { address: "" };
  const own = { asked, takenOut, take, reloads };
  return { ...parts, journal, access, history, acts, ...own, loops, log, signal };
}

export async function createServer(core: Core, journal: Journal): Promise<ServerParts> {
  const copier = startCopier({ ...core, journal });
  const parts: { edge?: EdgeRunner; wake?: () => void } = {};
  const ca = await startCa({
    ...core,
    owner: core.owners.puppet,
    copier,
    confirmEdges: async (serials) =>
      parts.edge?.refuseEverywhere(serials) ?? { confirmed: [], missing: [] },
    onCrl: () => parts.wake?.(),
    clockOffsetMs: () => core.neighbours.clockOffsetMs(),
  });
  const memoryMiB = memoryOfHost();
  const edge = createEdgeRunner({ ...core, memoryMiB, ca });
  parts.edge = edge;
  const hostCertificate = createHostCertificate(core, ca);
  const courier = createCourierRunner(core);
  const probe = startProbe(core, ca);
  core.loops.push(probe.loop);
  return {
    ca,
    copier,
    edge,
    hostCertificate,
    courier,
    probe,
    onWake: (wake) => (parts.wake = wake),
  };
}

export function requireView({ keeper }: Core): View {
  const view = keeper.current();
  if (view !== undefined) return view;
  throw new Fault("cluster.no-record", "this member has not read the record yet");
}

export function requireCa(server: ServerParts | undefined): Ca {
  if (server !== undefined) return server.ca;
  throw new Fault("ca.not-here", "this member holds no certificate authority: ask a server");
}
