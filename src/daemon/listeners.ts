// The daemon's doors and who answers behind each: this server's commands, the other members, the
// edges. Renewed certificates are taken by `reloads`.

import { readFile } from "node:fs/promises";
import type { ServerOptions } from "node:https";
import type { Audit } from "../api/audit.ts";
import type { OwnDrill } from "../api/drill-commands.ts";
import { createEvents } from "../api/events.ts";
import { createLocalApp, type LocalDeps } from "../api/local-app.ts";
import { createMemberApp } from "../api/member-app.ts";
import { listenOnSocket, listenWithTls } from "../api/serve.ts";
import { Fault } from "../base/fault.ts";
import { refuseEjected } from "../ca/ejected.ts";
import { writeNodeFile } from "../cluster/node-file.ts";
import type { LeafName } from "../cluster/pki.ts";
import { readLeaf, requireAuthorities } from "../cluster/pki-store.ts";
import { readClusterRecord } from "../cluster/record.ts";
import { namesOfServer } from "../cluster/schema.ts";
import { listTokens, revokeToken } from "../cluster/tokens.ts";
import { voterEndpoints } from "../cluster/view.ts";
import { accessCommands } from "./access.ts";
import { alertCommands } from "./alert-commands.ts";
import { backendCommands } from "./backends.ts";
import { signMember } from "./ca.ts";
import { caCommands } from "./ca-commands.ts";
import { configCommands } from "./config.ts";
import { type Core, requireCa, requireView, type ServerParts } from "./core.ts";
import {
  addNames,
  finishMember,
  issueToken,
  type MembershipDeps,
  sealKeys,
  setVoters,
  untilSeen,
} from "./membership.ts";
import { drillCommands, noDrills } from "./drill-commands.ts";
import { ejectCommands } from "./eject.ts";
import { ownFailedRuns } from "./failed-runs.ts";
import { failoverCommands } from "./failover.ts";
import { hookCommands } from "./hooks.ts";
import { createInquiry } from "./inquiry.ts";
import { makeRoomEverywhere } from "./make-room.ts";
import { OWN_CERTIFICATES, VIRTUAL_IPS } from "./loops.ts";
import { signLeaf } from "./own-leaves.ts";
import { puppetdbCommands } from "./puppetdb.ts";
import { switchoverCommands, type SwitchoverDeps } from "./switchover.ts";
import { peerActs } from "./switchover-peers.ts";
import { switchoverActs } from "./switchover-acts.ts";
import { readPuppetserverUnit, restartOwn } from "./puppetserver-unit.ts";
import { askToLeave, planLeaving, removeMember, startLeaving } from "./removal.ts";
import { ownJob, ownLook, upgradeOwn } from "./upgrade.ts";
import { workCommands } from "./work.ts";
import type { DrillActs } from "../drill/acts.ts";
import { reportStore } from "../drill/store.ts";
import type { Hooks } from "../hooks/hooks.ts";
import { wallMs } from "../host/clock.ts";
import { PATHS, PORTS } from "../host/paths.ts";
import { findOwner } from "../host/users.ts";
import { admit } from "../setup/admit.ts";
import { planRemoval } from "../setup/removal.ts";

type Shared = {
  membership: MembershipDeps;
  local: LocalDeps["local"];
  /** What this server does for drills, whoever drives them. */
  acts: DrillActs;
};

/** What can be asked of this daemon, by its own commands and in part by people. */
export function commandsOf(
  core: Core,
  server: ServerParts | undefined,
  shared: Shared & { status: LocalDeps["cluster"]; hooks: Hooks; leads: () => boolean },
): LocalDeps {
  const { etcd, log } = core;
  const { membership } = shared;
  const history: LocalDeps["history"] = async ({ kinds, ...wish }) =>
    core.history.read({ ...wish, ...(kinds && { kinds: kinds.split(",") }) });
  const switchover = switchoverCommands(addressDeps(core, shared.status));
  const inquiry = createInquiry({ ...core, status: async () => shared.status() });
  return {
    log,
    history,
    events: createEvents({ history, cluster: async () => shared.status() }),
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
    reissue: async (names) => {
      // Before the names are in the record.
      refuseEjected(requireCa(server).ejected());
      const settings = await addNames(membership, names);
      await server?.hostCertificate.reissue(settings);
      return { altNames: namesOfServer(settings, core.node.id) };
    },
    finish: async ({ stages }) => {
      await finishMember(membership);
      core.history.note({
        kind: "member",
        what: `${core.node.id} is set up: ${core.node.startedBy ?? "setup"} went through`,
        by: "root",
        stages,
      });
      core.node = { ...core.node, phase: "ready" };
      await writeNodeFile(core.node);
    },
    hooks: hookCommands(shared.hooks, { ...core, id: core.node.id, leads: shared.leads }),
    alerts: alertCommands({
      id: core.node.id,
      etcd,
      settings: () => core.keeper.current()?.settings,
      secretsFile: PATHS.alertSecretsFile,
      ca: async () => [await readFile(core.layout.localcacert, "utf8")],
      wake: () => membership.wake(),
    }),
    config: configCommands({ ...core, wake: () => membership.wake() }),
    why: async (about) => inquiry.why(about),
    incident: async (wish) => inquiry.incident(wish),
    ca: server && caCommands(server.ca),
    planRemoval: async (id) => {
      await untilSeen(core, id);
      return planRemoval(await shared.status(), id);
    },
    remove: async (id) => removeMember(membership, id),
    planLeave: async () => planLeaving(membership),
    startLeaving: async () => startLeaving(membership),
    leave: async () => {
      core.asked.out = true;
      return askToLeave(membership).finally(() => (core.asked.out = false));
    },
    setVoters: async (count) => setVoters(membership, count),
    makeRoom: async () => makeRoomEverywhere(core),
    backends: backendCommands(core),
    work: workCommands(core, shared.status, switchover),
    // Drills are a server's: only its CA makes a certificate for its synthetic agent.
    drills:
      server === undefined
        ? noDrills(core)
        : drillCommands(core, { ...shared, switchover, probe: server.probe }),
    eject: ejectCommands(core, server, { ...shared, ...membership }),
    puppetdb: puppetdbCommands({
      ...core,
      wakeReload: () => core.loops.find(({ name }) => name === OWN_CERTIFICATES)?.wake(),
    }),
    switchover,
    failover: failoverCommands(addressDeps(core, shared.status)),
    access: accessCommands(core, { ...shared, ...membership }),
  };
}

export async function listenForCommands(commands: LocalDeps, audit: Audit) {
  const app = createLocalApp(commands, audit);
  return [await listenOnSocket(app, PATHS.apiSocket, { mode: 0o600 })];
}

export async function listenForMembers(
  core: Core,
  server: ServerParts | undefined,
  shared: Shared & { ownDrill: OwnDrill },
) {
  const { keeper, refusals, log } = core;
  const { membership } = shared;
  const unitName = core.layout.puppetserver.unit;
  const app = createMemberApp({
    log,
    revokedSerials: () => refusals.serials("control"),
    local: shared.local,
    evidence: (wish) => core.history.evidence(wish, core.acts.list()),
    failedRuns: ownFailedRuns,
    admit: async (start) => {
      const ca = requireCa(server);
      membership.requireClock("certificates that it dated would be refused: it admits nobody");
      // Before anything is made for who needs a certificate of the cluster's CA.
      refuseEjected(ca.ejected() ?? keeper.current()?.ejected);
      return admit(
        {
          etcd: core.etcd,
          authorities: await requireAuthorities(),
          wallMs,
          etcdEndpoints: () => endpointsOf(core),
          signPuppet: async (pem, altNames) =>
            signMember(ca, core.layout, { pem, id: start.member.id, altNames }),
          revokePuppet: async (id) => ca.revoke({ names: [id], ofMembers: true }),
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
    switchover: server && ownActs(core),
    drill: shared.acts,
    drillReports: reportStore(PATHS.drills),
    ownDrill: shared.ownDrill,
    puppetserverUnit: async () => readPuppetserverUnit(unitName),
    restartPuppetserver: async (asked) => restartOwn(core, asked),
    lookForUpgrades: ownLook,
    upgradeJob: ownJob,
    upgrade: async (key) => upgradeOwn(core, key),
    renewLeaf: async (id, wanted) => {
      membership.requireClock("certificates that it dated would be refused");
      return signLeaf(core.etcd, requireView(core), id, wanted);
    },
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
export async function listenForEdges(core: Core, { ca }: ServerParts) {
  const haproxy = await findOwner("haproxy");
  const socket = { mode: 0o660, ...(haproxy === undefined ? {} : { gid: haproxy.gid }) };
  const readTls = async () => tlsOf("authority", { requestCert: true, rejectUnauthorized: true });
  const where = { address: "0.0.0.0", port: PORTS.authority };
  const listener = await listenWithTls(ca.routes, { ...where, tls: await readTls() });
  core.reloads.push(async () => listener.reload(await readTls()));
  return [await listenOnSocket(ca.routes, PATHS.caSocket, socket), listener];
}

function addressDeps(core: Core, status: SwitchoverDeps["status"]): SwitchoverDeps {
  const { peers } = core;
  return {
    ...core,
    view: () => requireView(core),
    status,
    actsOf: ({ id, address }) => (id === core.node.id ? ownActs(core) : peerActs(peers, address)),
  };
}

function ownActs(core: Core) {
  return switchoverActs({
    ...core,
    view: () => requireView(core),
    wakeVip: () => core.loops.find(({ name }) => name === VIRTUAL_IPS)?.wake(),
  });
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
