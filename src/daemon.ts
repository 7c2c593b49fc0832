// The daemon: builds everything and wires it together. The only place that knows all the parts;
// what they decide is theirs. Danger: nothing that serves agents may depend on this process being
// there (P5).

import { readFile } from "node:fs/promises";
import type { ServerOptions } from "node:https";
import { createLocalApp } from "./api/local-app.ts";
import { createMemberApp } from "./api/member-app.ts";
import { listenOnSocket, listenWithTls } from "./api/serve.ts";
import { Fault } from "./base/fault.ts";
import { createLog, type Log } from "./base/log.ts";
import type { Loop } from "./base/loop.ts";
import type { Ca } from "./ca/authority.ts";
import { caLayout } from "./ca/layout.ts";
import { createLeadership } from "./cluster/leader.ts";
import { requireNodeFile, writeNodeFile } from "./cluster/node-file.ts";
import { createPeers, type Peers } from "./cluster/peer.ts";
import type { LeafName } from "./cluster/pki.ts";
import { type PkiOwners, readLeaf, requireAuthorities } from "./cluster/pki-store.ts";
import { readClusterRecord } from "./cluster/record.ts";
import { namesOfServer, type NodeFile } from "./cluster/schema.ts";
import { listTokens, revokeToken } from "./cluster/tokens.ts";
import { startViewKeeper, type ViewKeeper } from "./cluster/view-keeper.ts";
import { type View, voterEndpoints } from "./cluster/view.ts";
import { createVoters, type Voters } from "./cluster/voters-loop.ts";
import { caCommands, caStatus, signMember, startCa } from "./daemon/ca.ts";
import { readClusterStatus } from "./daemon/cluster-status.ts";
import { type Copier, startCopier } from "./daemon/copies.ts";
import { createEdgeRunner, type EdgeRunner } from "./daemon/edge.ts";
import { live } from "./daemon/life.ts";
import { readLocalStatus } from "./daemon/local-status.ts";
import { hungLoop, lookAt, loopWarnings } from "./daemon/loop-watch.ts";
import { startMemberLoops, startServerLoops } from "./daemon/loops.ts";
import {
  finishMember,
  issueToken,
  type MembershipDeps,
  sealKeys,
  setVoters,
} from "./daemon/membership.ts";
import { createNeighbours, type Neighbours } from "./daemon/neighbours.ts";
import { createOwnLeaves, type OwnLeaves, signLeaf } from "./daemon/own-leaves.ts";
import { isIdle, keepOwn } from "./daemon/own-record.ts";
import { createRefusals, memberDoors, type Refusals } from "./daemon/pki-loop.ts";
import { askToLeave, removeMember, startLeaving } from "./daemon/removal.ts";
import { createEtcd } from "./etcd/client.ts";
import { clientUrl, peerUrl } from "./etcd/server.ts";
import type { Etcd } from "./etcd/types.ts";
import { monotonicMs, wallMs } from "./host/clock.ts";
import { memoryOfHost } from "./host/facts.ts";
import { makeFolder } from "./host/files.ts";
import { PATHS, PORTS } from "./host/paths.ts";
import { type PuppetLayout, readPuppetLayout } from "./host/puppet-layout.ts";
import { findOwner } from "./host/users.ts";
import { admit } from "./setup/admit.ts";
import { planRemoval } from "./setup/removal.ts";
import { rememberRemoval, standDown } from "./setup/stand-down.ts";
import { readSetupHost } from "./setup/setup-host.ts";
import { VERSION } from "./version.ts";

const SECOND_MS = 1000;
const CLOCK_REFUSE_MS = 60 * SECOND_MS;

/** Runs until TERM or INT. Throws Fault when it can't even start. */
export async function runDaemon(): Promise<void> {
  const log = createLog((line) => process.stderr.write(`${line}\n`));
  if ((await requireNodeFile()).phase === "removed") return standDown("daemon");
  await live(log, async (stop) => {
    const daemon = await assemble(log, stop);
    log.notice(`understudy ${VERSION} runs as ${daemon.id}`);
    return daemon;
  });
}

/** What every part of a running daemon may use. */
interface Core {
  node: NodeFile;
  layout: PuppetLayout;
  owners: PkiOwners;
  etcd: Etcd;
  peers: Peers;
  keeper: ViewKeeper;
  neighbours: Neighbours;
  refusals: Refusals;
  leaves: OwnLeaves;
  voters: Voters;
  /** Whether this member asks the others now to take it out. */
  asked: { out: boolean };
  /** Why this daemon keeps requests from its own puppetserver now; empty: it doesn't. */
  takenOut: { because: string };
  /** Run when our own certificates or the CRLs of our CAs have changed on disk. */
  reloads: (() => Promise<void>)[];
  /** All that runs here on a timer, but for the view's and the CA's, which tell of themselves. */
  loops: Loop[];
  log: Log;
  signal: AbortSignal;
}

/** What only a server has. */
interface ServerParts {
  ca: Ca;
  copier: Copier;
  edge: EdgeRunner;
  /** Gives what a new CRL wakes. */
  onWake(wake: () => void): void;
}

async function assemble(log: Log, stop: AbortController) {
  const core = await createCore(log, stop);
  const server = core.node.role === "server" ? await createServer(core) : undefined;
  const membership: MembershipDeps = {
    ...core,
    puppetKey: async () => readFile(caLayout(core.layout.cadir).key, "utf8"),
    wake: () => core.keeper.loop.wake(),
    etcdOf: ({ address }) => ({ peerUrl: peerUrl(address), clientUrl: clientUrl(address) }),
    authorities: requireAuthorities,
    requireSigner: () => requireCa(server).requireSigner(),
    revokePuppet: async (id) => {
      const { edges } = await requireCa(server).revoke({ names: [id] });
      return edges ?? { confirmed: [], missing: [] };
    },
    confirmCopies: async (revision) => {
      const alone = { copies: 1, of: [core.node.id] };
      // The change stands, whatever becomes of asking who else has it.
      return server?.copier.confirm(revision).catch(() => alone) ?? alone;
    },
    status: async () => status(),
  };
  const local = async () =>
    readLocalStatus({
      ...core,
      node: () => core.node,
      edge: () => server?.edge.status(),
      ca: () => server && caStatus(server.ca),
      warnings: () => warningsOf(core, server),
    });
  const status = async () => readClusterStatus(core.node.id, core.keeper, core.peers, local);
  const leadership = createLeadership(core.etcd, core.node.id);
  core.loops.push(...startMemberLoops(core, () => leadership.holds()));
  if (server !== undefined) core.loops.push(...startServerLoops(core, server, leadership));
  const listeners = [
    ...(await listenForCommands(core, server, { membership, local, status })),
    ...(await listenForMembers(core, server, { membership, local })),
    ...(server === undefined ? [] : await listenForEdges(core, server)),
  ];
  return {
    id: core.node.id,
    hung: () => hungLoop([core.keeper.loop, ...core.loops].map(lookAt), monotonicMs()),
    async close() {
      await Promise.all(listeners.map(async (listener) => listener.close()));
      await server?.ca.close();
      core.peers.close();
      core.etcd.close();
    },
  };
}

async function createCore(log: Log, stop: AbortController): Promise<Core> {
  const { signal } = stop;
  const node = await requireNodeFile();
  // Throws where puppet doesn't answer: by a guess it could sign what an old list allows.
  const layout = await readPuppetLayout();
  const { owners } = await readSetupHost(layout);
  await makeFolder(PATHS.run);
  const { ca, cert, key } = await readLeaf("etcd");
  const etcd = createEtcd({ endpoints: node.etcdEndpoints, tls: { ca, cert, key }, log });
  let control = await readLeaf("control");
  const peers = createPeers(() => control);
  const keeper = await startViewKeeper({ etcd, node, log, signal });
  const asked = { out: false };
  const onRemoved = async (by: string) => {
    // Whoever asked to be removed still awaits the answer, and stops everything then.
    if (signal.aborted || asked.out) return;
    log.error(`${by} says that this member was removed: it stands down`);
    await rememberRemoval();
    // The next start stands down, when no loop is there to start anything again.
    stop.abort();
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
    clockIsRight: () => Math.abs(neighbours.clockOffsetMs() ?? 0) < CLOCK_REFUSE_MS,
    takeOut: async (because) => {
      takenOut.because = because;
      await keepOwn({ etcd, node, layout, takenOut });
    },
    isIdle: async (view) => isIdle(view, node),
    onRenewed: async () => {
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
  const voters = createVoters(etcd, log);
  const parts = { node, layout, owners, etcd, peers, keeper, neighbours, refusals, leaves, voters };
  return { ...parts, asked, takenOut, reloads, loops: [neighbours.loop], log, signal };
}

async function createServer(core: Core): Promise<ServerParts> {
  const { node, etcd, keeper, peers, log, signal } = core;
  const copier = await startCopier({ etcd, node, keeper, peers, log, signal });
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
  return { ca, copier, edge, onWake: (wake) => (parts.wake = wake) };
}

type Shared = {
  membership: MembershipDeps;
  local: Parameters<typeof createLocalApp>[0]["local"];
};

async function listenForCommands(
  core: Core,
  server: ServerParts | undefined,
  shared: Shared & { status: Parameters<typeof createLocalApp>[0]["cluster"] },
) {
  const { etcd, log } = core;
  const { membership } = shared;
  const app = createLocalApp({
    log,
    local: shared.local,
    cluster: shared.status,
    createToken: async (wish) => issueToken(membership, wish),
    listTokens: async () => listTokens(etcd, wallMs()),
    revokeToken: async (id) => revokeToken(etcd, id),
    signOwnCertificate: async (pem) => {
      const { id } = core.node;
      const settings = (await readClusterRecord(etcd))?.settings.value;
      if (settings === undefined) throw new Fault("cluster.no-record", "there is no record yet");
      return signMember(requireCa(server), core.layout, {
        pem,
        id,
        altNames: namesOfServer(settings, id),
      });
    },
    finish: async () => {
      await finishMember(membership);
      core.node = { ...core.node, phase: "ready" };
      await writeNodeFile(core.node);
    },
    ca: server && caCommands(server.ca),
    planRemoval: async (id) => planRemoval(await shared.status(), id),
    remove: async (id) => removeMember(membership, id),
    planLeave: async () => planRemoval(await shared.status(), core.node.id, "itself"),
    startLeaving: async () => startLeaving(membership),
    leave: async () => {
      core.asked.out = true;
      return askToLeave(membership).finally(() => (core.asked.out = false));
    },
    setVoters: async (count) => setVoters(membership, count),
  });
  return [await listenOnSocket(app, PATHS.apiSocket, { mode: 0o600 })];
}

async function listenForMembers(core: Core, server: ServerParts | undefined, shared: Shared) {
  const { keeper, refusals, log } = core;
  const { membership } = shared;
  const app = createMemberApp({
    log,
    revokedSerials: () => refusals.serials("control"),
    local: shared.local,
    admit: async (start) => {
      const ca = requireCa(server);
      return admit(
        {
          etcd: core.etcd,
          authorities: await requireAuthorities(),
          wallMs,
          etcdEndpoints: () => endpointsOf(core),
          signPuppet: async (pem, altNames) =>
            signMember(ca, core.layout, { pem, id: start.member.id, altNames }),
          revokePuppet: async (id) => ca.revoke({ names: [id] }),
        },
        start,
      );
    },
    joinKeys: async (caller) => sealKeys(membership, caller),
    isServer: (id) =>
      keeper.current()?.members.some((each) => each.id === id && each.role === "server") === true,
    hasCopy: async (revision) => (await server?.copier.has(revision)) ?? false,
    refuse: async (keys) => {
      return (await server?.edge.refuse(keys)) ?? { confirmed: true, because: "" };
    },
    refuses: async (serials) => {
      await refusals.sync();
      return refusals.inForce(serials);
    },
    remove: async (id) => removeMember(membership, id),
    renewLeaf: async (id, wanted) => signLeaf(core.etcd, requireView(core), id, wanted),
  });
  // The token exchange of join comes without a certificate; every other route asks for one.
  const readTls = async () => tlsOf("control", { requestCert: true, rejectUnauthorized: false });
  const where = { address: "0.0.0.0", port: PORTS.control };
  const listener = await listenWithTls(app, { ...where, tls: await readTls() });
  core.reloads.push(async () => listener.reload(await readTls()));
  return [listener];
}

/**
 * The CA for edges: this server's own over a socket, the others' over mutual TLS with an edge
 * certificate.
 */
async function listenForEdges(core: Core, { ca }: ServerParts) {
  const haproxy = await findOwner("haproxy");
  const socket = { mode: 0o660, ...(haproxy === undefined ? {} : { gid: haproxy.gid }) };
  const readTls = async () => tlsOf("authority", { requestCert: true, rejectUnauthorized: true });
  const where = { address: "0.0.0.0", port: PORTS.authority };
  const listener = await listenWithTls(ca.routes, { ...where, tls: await readTls() });
  core.reloads.push(async () => listener.reload(await readTls()));
  return [await listenOnSocket(ca.routes, PATHS.caSocket, socket), listener];
}

async function tlsOf(leaf: LeafName, options: ServerOptions): Promise<ServerOptions> {
  const { ca, cert, key, crl } = await readLeaf(leaf);
  // The CA goes with the leaf: joiners compare its hash with their token's.
  return { ...options, ca, crl, key, cert: `${cert}${ca}` };
}

function endpointsOf(core: Core): string[] {
  const view = core.keeper.current();
  const known = view === undefined ? [] : voterEndpoints(view, core.node.id);
  return known.length > 0 ? known : core.node.etcdEndpoints;
}

function requireView({ keeper }: Core): View {
  const view = keeper.current();
  if (view !== undefined) return view;
  throw new Fault("cluster.no-record", "this member has not read the record yet");
}

function requireCa(server: ServerParts | undefined): Ca {
  if (server !== undefined) return server.ca;
  throw new Fault("ca.not-here", "this member holds no certificate authority: ask a server");
}

function warningsOf(core: Core, server: ServerParts | undefined): string[] {
  const problem = server?.copier.problem() ?? "";
  const offsetMs = core.neighbours.clockOffsetMs() ?? 0;
  const { reachable } = core.keeper.record();
  return [
    ...loopWarnings(core.loops.map(lookAt), monotonicMs(), reachable),
    ...core.leaves.warnings(),
    ...(problem === "" ? [] : [problem]),
    ...(Math.abs(offsetMs) > CLOCK_REFUSE_MS
      ? [`its clock is ${Math.round(offsetMs / SECOND_MS)} s off the others': it signs nothing`]
      : []),
  ];
}
