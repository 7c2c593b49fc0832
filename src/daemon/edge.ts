// The edge of this server as the daemon runs it: configuration from the view, revocations from the
// CA, and what HAProxy says of itself for the status. The judgement is edge/plan.ts.

import { RefuseAnswer } from "../api/member-app.ts";
import type { Acts } from "../base/acts.ts";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Ca } from "../ca/authority.ts";
import type { EdgeReport } from "../ca/outcome.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { BackendStatus, LocalStatus } from "../cluster/status.ts";
import { isPaused, outNow } from "../cluster/work.ts";
import { edgesOf, type View } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { keepPoison } from "../edge/apply.ts";
import type { EdgeConfig } from "../edge/config.ts";
import { revocationKeys } from "../edge/identity.ts";
import { settleEdge } from "../edge/loop.ts";
import { type EdgeState, observeEdge } from "../edge/observe.ts";
import { confirmRevoked } from "../edge/revocations.ts";
import { edgeRuntime } from "../edge/runtime.ts";
import { createCounter, createRequestMeter, type RequestMeter } from "../edge/counters.ts";
import { createLoadMeter } from "../edge/load-meter.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { exists } from "../host/files.ts";
import { hasIpv6 } from "../host/network.ts";
import { PATHS, UNITS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { isActive, unit } from "../host/systemd.ts";
import { desiredEdge } from "./edge-desired.ts";
import {
  EDGE_CERTIFICATE,
  type EdgeIdentity,
  keepEdgeIdentity,
  PUPPET_CA,
} from "./identity-files.ts";
import { createRevocationSync } from "./revocation-sync.ts";

/** How long the other edges may take to confirm a revocation before they are named. */
const CONFIRM_MS = 10_000;
/** How often the units are looked at while HAProxy answers. */
const UNITS_EVERY_TICKS = 6;

export interface EdgeHost {
  node: NodeFile;
  layout: PuppetLayout;
  memoryMiB: number;
  keeper: ViewKeeper;
  peers: Peers;
  ca: Ca;
  acts: Acts;
  log: Log;
  /** Where HAProxy's files and sockets are; default as the package has it. */
  folders?: Pick<EdgeConfig, "stateDir" | "runDir">;
}

export interface EdgeRunner {
  /** One tick: configuration, units, revocations. Throws when one could not be brought in place. */
  tick(): Promise<void>;
  status(): NonNullable<LocalStatus["edge"]>;
  /** Makes this edge refuse `keys`, and says whether every worker does. */
  refuse(keys: readonly string[]): Promise<{ confirmed: boolean; because: string }>;
  /** Makes every member's edge refuse these serials; who confirmed, and who didn't yet. */
  refuseEverywhere(serials: readonly string[]): Promise<EdgeReport>;
}

export function createEdgeRunner(host: EdgeHost): EdgeRunner {
  const { node, keeper, peers, ca, log } = host;
  const folders = host.folders ?? { stateDir: PATHS.edge, runDir: PATHS.run };
  const runtime = edgeRuntime(folders);
  let state: EdgeState | undefined;
  let own: EdgeIdentity | undefined;
  /** The member whose stock CA HAProxy was last told to ask. */
  let stockOf: string | undefined;
  /** What this tick has found already. */
  let seen: EdgeState | undefined;
  /** Whether there is a configuration that HAProxy could start with. */
  let configured = false;
  const replays = createCounter();
  const requests = createRequestMeter();
  const load = createLoadMeter();
  let ticks = 0;
  // Asked once: a moment without a free descriptor must not take the listener away.
  const ipv6 = hasIpv6();
  const revocations = createRevocationSync(ca, async (keys) => refuse(keys));

  const refuse = async (keys: readonly string[]) => confirmRevoked(runtime, folders.stateDir, keys);
  const configure = async (view: View) => {
    const identity = await keepEdgeIdentity(host.layout, host.node.sharedName);
    if (identity === undefined) {
      // The first one is setup's to make.
      if (configured) throw identityLost(host.node);
      return;
    }
    const config = configOf(host, view, await ipv6, identity);
    own = identity;
    configured = true;
    const { before, actions } = await settleEdge(config);
    stockOf = config.stockAuthority?.name;
    host.acts.note("edge", actions);
    for (const action of actions) log.notice(`edge: ${action.do}: ${action.because}`);
    // Where nothing was to be done, it is as it was found.
    if (before.running && actions.length === 0) seen = before;
  };
  const ensureUnits = async () => {
    ticks += 1;
    // Asking systemd costs a process each time; HAProxy's own answer says as much.
    if (state?.running !== true || ticks % UNITS_EVERY_TICKS === 0) await startUnits();
  };
  const look = async () => {
    state = seen ?? (await observeEdge(runtime));
    replays.see(state.replays);
    requests.see(state, monotonicMs());
    load.see(state, wallMs());
  };
  return {
    refuse,
    async tick() {
      const view = keeper.current();
      if (view === undefined) return;
      // HAProxy serves on with what it has while it can take nothing new: each part is done and
      // looked at though another one fails.
      seen = undefined;
      configured ||= await exists(runtime.paths.config);
      const paused = isPaused(view.work, node.id, wallMs());
      // Revocations go on: they are no configuration.
      const failures = paused ? [] : [await failureOf(configure(view))];
      if (configured) {
        failures.push(await failureOf(ensureUnits()));
        failures.push(await failureOf(look()));
        if (state?.running === true) {
          failures.push(await failureOf(revocations.sync(workersOf(state))));
          failures.push(await failureOf(keepPoison(runtime, state.poisonous)));
        }
      }
      const failure = failures.find((each) => each !== undefined);
      if (failure !== undefined) throw failure;
    },
    status: () => ({
      active: state?.running === true,
      because: whyInactive(configured, state),
      confirmedCrl: revocations.confirmedCrl(),
      replays: replays.total(),
      ...(own && { certificate: { names: own.names, endsAt: isoTime(own.endsMs) } }),
      ...(stockOf !== undefined && { stockCa: { of: stockOf, up: state?.authority === true } }),
      waiting: state?.waiting ?? 0,
      connections: state?.connections ?? 0,
      formerWorkers: state?.workers.filter(({ former }) => former).length ?? 0,
      load: load.read(wallMs()),
      poisonous: (state?.poisonous ?? []).map((each) => ({
        certname: each.certname,
        at: isoTime(each.at * 1000),
        servers: each.servers,
      })),
      backends: state === undefined ? [] : backendsOf(state, keeper.current(), requests),
    }),
    async refuseEverywhere(serials) {
      const keys = revocationKeys(ca.issuerText(), serials);
      const view = keeper.current();
      const report: EdgeReport = { confirmed: [], missing: [] };
      const ask = async (member: { id: string; address: string }) => {
        if (member.id === node.id) return refuse(keys);
        const options = { body: { keys }, answer: RefuseAnswer, withinMs: CONFIRM_MS };
        return peers.call(member.address, "/v1/edge/refuse", options);
      };
      await Promise.all(
        (view === undefined ? [] : edgesOf(view)).map(async (member) => {
          const said = await ask(member).catch((error: unknown) => ({
            confirmed: false,
            because: messageOf(error),
          }));
          if (said.confirmed) report.confirmed.push(member.id);
          else report.missing.push({ member: member.id, because: said.because });
        }),
      );
      return report;
    },
  };
}

function identityLost({ sharedName }: NodeFile): Fault {
  return new Fault("edge.identity", `this server's Puppet certificate for ${sharedName} is gone`, {
    hints: [
      "The edge goes on with the one it has, and takes no new configuration.",
      "Where the key is still there: understudy ca reissue",
    ],
  });
}

/** The configuration that the view asks for. */
function configOf(host: EdgeHost, view: View, ipv6: boolean, own: EdgeIdentity): EdgeConfig {
  return desiredEdge(view, {
    id: host.node.id,
    memoryMiB: host.memoryMiB,
    ipv6,
    certificateFile: EDGE_CERTIFICATE,
    puppetCaFile: PUPPET_CA,
    issuers: own.issuers,
    ejected: host.ca.ejected() ?? view.ejected,
    out: outNow(view.work, wallMs()).map(({ id }) => id),
  });
}

async function startUnits(): Promise<void> {
  for (const name of [UNITS.filesSocket, UNITS.edge]) {
    if (await isActive(name)) continue;
    await unit("enable", name);
    await unit("start", name);
  }
}

function backendsOf(state: EdgeState, view: View | undefined, requests: RequestMeter) {
  return state.servers.map((server): BackendStatus & { member: string } => ({
    name: server.name,
    member: memberOf(server.name, view),
    state: server.state,
    jrubies: server.maxconn ?? 0,
    busy: server.busy,
    queued: server.queued,
    ...requests.of(server.name),
    responseMs: server.responseMs,
    because: server.state === "up" ? "" : server.because,
  }));
}

/** The member whose puppetserver has this name at the edge: see backendName. */
function memberOf(name: string, view: View | undefined): string {
  const ids = view?.members.map((member) => member.id) ?? [];
  return ids.find((id) => name === id || name.startsWith(`${id}_`)) ?? name;
}

/** What `step` failed with; undefined when it went through. */
async function failureOf(step: Promise<void>): Promise<Error | undefined> {
  return step.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(messageOf(error))),
  );
}

function workersOf({ workers }: EdgeState): string {
  return workers.map(({ pid }) => pid).join(" ");
}

function whyInactive(configured: boolean, state: EdgeState | undefined): string {
  if (!configured) return "this server has no Puppet certificate with the shared name yet";
  if (state === undefined) return "not started yet";
  return state.running ? "" : "HAProxy doesn't answer";
}
