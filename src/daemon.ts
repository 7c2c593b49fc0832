// The daemon: builds everything (daemon/core.ts), starts its loops and opens its doors
// (daemon/listeners.ts). Only these know all the parts; what those decide is theirs. Danger:
// nothing that serves agents may depend on this process being there (P5).

import { readFile } from "node:fs/promises";
import { auditToAll, auditToLog } from "./api/audit.ts";
import { createLog, type Log } from "./base/log.ts";
import type { Loop } from "./base/loop.ts";
import { shareNext } from "./base/share-next.ts";
import { caLayout } from "./ca/layout.ts";
import { accessExpiries } from "./cluster/access.ts";
import { probeName } from "./cluster/drill.ts";
import { createLeadership } from "./cluster/leader.ts";
import { requireNodeFile } from "./cluster/node-file.ts";
import { readLeaf, requireAuthorities } from "./cluster/pki-store.ts";
import type { LocalStatus } from "./cluster/status.ts";
import { warning, type Warning } from "./cluster/warning.ts";
import { type Alerts, type AlertsHost, createAlerts, startAlertLoops } from "./daemon/alerts.ts";
import { caStatus } from "./daemon/ca.ts";
import { readClusterStatus } from "./daemon/cluster-status.ts";
import { type Core, createCore, createServer, requireCa, type ServerParts } from "./daemon/core.ts";
import { createDisks } from "./daemon/disks.ts";
import { drillActs } from "./daemon/drill-acts.ts";
import { startDrillSchedule } from "./daemon/drill-schedule.ts";
import { createExpiryWatch, type ExpiryWatch } from "./daemon/expiry-watch.ts";
import { failedRunsOf } from "./daemon/failed-runs.ts";
import { auditToHistory } from "./daemon/history.ts";
import { startHooks } from "./daemon/hooks.ts";
import { live } from "./daemon/life.ts";
import {
  commandsOf,
  listenForCommands,
  listenForEdges,
  listenForMembers,
} from "./daemon/listeners.ts";
import { readLocalStatus } from "./daemon/local-status.ts";
import { allHaveLooked, hungLoop, lookAt, loopWarnings } from "./daemon/loop-watch.ts";
import { startMemberLoops, startServerLoops } from "./daemon/loops.ts";
import type { MembershipDeps } from "./daemon/membership.ts";
import { startPeople } from "./daemon/people.ts";
import { startRollLoop } from "./daemon/roll.ts";
import { rollHands } from "./daemon/roll-hands.ts";
import { clientUrl, peerUrl } from "./etcd/server.ts";
import { monotonicMs, wallMs } from "./host/clock.ts";
import { createJournal, hasJournal } from "./host/journal.ts";
import { localAddresses } from "./host/network.ts";
import { PATHS } from "./host/paths.ts";
import { standDown } from "./setup/stand-down.ts";
import { VERSION } from "./version.ts";
import { parseCertificate } from "./x509/certificate.ts";

/** Runs until TERM or INT. Throws Fault when it can't even start. */
export async function runDaemon(): Promise<void> {
  const write = (line: string) => process.stderr.write(`${line}\n`);
  const log = createLog(write, {}, hasJournal() ? createJournal(write) : undefined);
  if ((await requireNodeFile()).phase === "removed") return standDown("daemon");
  await live(log, async (stop) => {
    const daemon = await assemble(log, stop);
    log.notice(`understudy ${VERSION} runs as ${daemon.id}`);
    return daemon;
  });
}

async function assemble(log: Log, stop: AbortController) {
  const core = await createCore(log, stop);
  const server = core.journal && (await createServer(core, await core.journal));
  const membership = membershipOf(core, server, async () => status());
  const expiry = expiryWatchOf(core, server);
  const disks = createDisks(core);
  const leadership = createLeadership(core.etcd, core.node.id);
  const leads = () => leadership.holds();
  const hooks = startHooks({ ...core, id: core.node.id, leads });
  const parts = {
    edge: () => server?.edge.status(),
    ca: () => server && caStatus(server.ca),
    copy: () => server?.copier.verdict(),
    courier: async () => server?.courier.status(),
  };
  let alerts: Alerts | undefined;
  const local = async () =>
    readLocalStatus({
      ...core,
      ...parts,
      node: () => core.node,
      api: () => people.status(),
      probe: () => server?.probe.status(),
      clock: () => core.neighbours.clock(),
      expiries: () => expiry.expiries(),
      disks: () => disks.status(),
      alerts: () => alerts?.status(),
      problems: () => [...problemsOf(core, server), ...[hooks, alerts].flatMap(problemsIn)],
    });
  // However many ask at the same moment, members are asked once.
  const status = shareNext(async () =>
    readClusterStatus(core.node.id, core.keeper, core.peers, local),
  );
  const acts = drillActs(core);
  const shared = { membership, local, acts };
  const commands = commandsOf(core, server, { ...shared, status, hooks, leads });
  core.loops.push(disks.loop, ...startMemberLoops(core, expiry, leads));
  if (server !== undefined) {
    core.loops.push(...startServerLoops(core, server, leadership));
    core.loops.push(
      startRollLoop({
        ...core,
        hands: rollHands(core, commands.switchover),
        status,
        leads,
        clockIsRight: () => core.neighbours.clockIsRight(),
      }),
      startDrillSchedule({ ...core, drills: commands.drills, leads }),
    );
  }
  const hung = () => hungLoop([core.keeper.loop, ...core.loops].map(lookAt), monotonicMs());
  const audit = auditToAll([auditToLog(log), auditToHistory(core.history)]);
  const people = startPeople({ core, commands, audit, parts: { ...parts, hung, leads } });
  core.loops.push(people.loop, ...startHistory(core, server, { local, leads }));
  if (server !== undefined) alerts = await startAlerts(core, { status, leads });
  const listeners = [
    ...(await listenForCommands(commands, audit)),
    ...(await listenForMembers(core, server, { ...shared, ownDrill: commands.drills.own })),
    ...(server === undefined ? [] : await listenForEdges(core, server)),
  ];
  return {
    id: core.node.id,
    hung,
    async close() {
      await core.history.close();
      await Promise.all([...listeners, people].map(async (each) => each.close()));
      await server?.ca.close();
      core.peers.close();
      core.etcd.close();
    },
  };
}

function expiryWatchOf(core: Core, server: ServerParts | undefined): ExpiryWatch {
  return createExpiryWatch({
    ...core,
    hostcert: core.layout.hostcert,
    ofCa: () => server?.ca.state().expiries ?? [],
    ofTokens: () => accessExpiries(core.access.current(), wallMs()),
    apiCertificate: () => core.keeper.current()?.settings.api?.certificate?.cert,
    wallMs,
  });
}

async function startAlerts(
  core: Core,
  { status, leads }: Pick<AlertsHost, "status" | "leads">,
): Promise<Alerts> {
  const host: AlertsHost = {
    ...core,
    localcacert: core.layout.localcacert,
    secretsFile: PATHS.alertSecretsFile,
    ownFile: PATHS.alertsFile,
    status,
    leads,
    failedRuns: async (id) => failedRunsOf(core, id),
    wallMs,
    monotonicMs,
  };
  const alerts = await createAlerts(host);
  core.loops.push(...startAlertLoops(alerts, host));
  return alerts;
}

/** What changes of who belongs to the cluster need of the rest. */
function membershipOf(
  core: Core,
  server: ServerParts | undefined,
  status: MembershipDeps["status"],
): MembershipDeps {
  return {
    ...core,
    puppetKey: async () => readFile(caLayout(core.layout.cadir).key, "utf8"),
    wake: () => core.keeper.loop.wake(),
    requireClock: (what) => core.neighbours.requireClock(what),
    note: (note) => core.history.note(note),
    etcdOf: ({ address }) => ({ peerUrl: peerUrl(address), clientUrl: clientUrl(address) }),
    authorities: requireAuthorities,
    requireSigner: async () => {
      // Then there is nothing of the cluster's to revoke it with: planRemoval says so.
      if (server?.ca.ejected() === undefined) await requireCa(server).requireSigner();
    },
    ownSerial: async () => parseCertificate((await readLeaf("control")).cert).serialHex,
    revokePuppet: async (id) => {
      if (server?.ca.ejected() !== undefined) return { confirmed: [], missing: [] };
      const what = { names: [id, probeName(id)], ofMembers: true };
      const { edges } = await requireCa(server).revoke(what);
      return edges ?? { confirmed: [], missing: [] };
    },
    confirmCopies: async (revision) => {
      const alone = { copies: 1, of: [core.node.id] };
      // The change stands, whatever becomes of asking who else has it.
      return server?.copier.confirm(revision).catch(() => alone) ?? alone;
    },
    status,
  };
}

/** Has the history look at what this member says of itself, once all loops have looked. */
function startHistory(
  core: Core,
  server: ServerParts | undefined,
  { local, leads }: { local: () => Promise<LocalStatus>; leads: () => boolean },
): Loop[] {
  const { history, neighbours } = core;
  const looked = allHaveLooked([...core.loops], monotonicMs());
  return history.start({
    ready: () => looked(monotonicMs()),
    leads,
    clockIsRight: () => neighbours.clockIsRight(),
    hint: () => hintOf(server),
    look: async () => {
      const said = { leads: leads(), answering: neighbours.answering() };
      return { ...said, local: await local() };
    },
  });
}

/** What tells at once that something has changed that history tells. */
function hintOf(server: ServerParts | undefined): string {
  const { active, backends = [] } = server?.edge.status() ?? {};
  const addresses = localAddresses().map(({ address }) => address);
  return JSON.stringify([addresses, active, backends.map(({ name, state }) => [name, state])]);
}

const problemsIn = (part: Pick<Alerts, "problems"> | undefined) => part?.problems() ?? [];

/** What is to be looked at and only this member knows. */
function problemsOf(core: Core, server: ServerParts | undefined): Warning[] {
  const problem = server?.copier.problem() ?? "";
  const { reachable } = core.keeper.record();
  return [
    ...loopWarnings(core.loops.map(lookAt), monotonicMs(), reachable),
    ...core.leaves.warnings().map((text) => warning("member-troubled", "certificates", text)),
    ...(server?.probe.problems() ?? []),
    ...(problem === "" ? [] : [warning("member-troubled", "copies", problem)]),
  ];
}
