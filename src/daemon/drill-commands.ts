// The commands of drills: one at a time in the whole cluster, by a mark in the record that is
// compared with all other planned work. The drill goes on in this daemon without whoever began it.

import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { DrillCommands, OwnDrill } from "../api/drill-commands.ts";
import type { SwitchoverCommands } from "../api/local-app.ts";
import { Fault, messageOf } from "../base/fault.ts";
import type { Loop } from "../base/loop.ts";
import type { DrillMark } from "../cluster/drill.ts";
import { updateWork } from "../cluster/record.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { drillUnderWay, withoutDrill } from "../cluster/work.ts";
import { DrillActed, type DrillActs } from "../drill/acts.ts";
import { KINDS, MARK_MS } from "../drill/kinds.ts";
import { planDrill } from "../drill/plan.ts";
import { steadyClock } from "../drill/probe.ts";
import { outcomeOf } from "../drill/render-text.ts";
import type { DrillReport } from "../drill/report.ts";
import { type ReportStore, reportStore } from "../drill/store.ts";
import { observeEdge } from "../edge/observe.ts";
import { edgeRuntime } from "../edge/runtime.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { localAddresses } from "../host/network.ts";
import { PATHS } from "../host/paths.ts";
import { Done } from "../setup/contract.ts";
import type { DrillAsk, DrillStarted } from "../setup/drill-contract.ts";
import { type Core, requireView } from "./core.ts";
import { type DrillHost, holdDrill } from "./drill.ts";
import { findReport, listReports, progressElsewhere, stopElsewhere } from "./drill-others.ts";
import type { History } from "./history.ts";
import { heldBy, type Probe } from "./probe.ts";

/** Its daemon asks etcd and systemd first. */
const ACT_MS = 30_000;
const UNMARK_TRIES = 5;
const LINES_MAX = 400;

export interface DrillParts {
  status(): Promise<ClusterStatus>;
  switchover: SwitchoverCommands;
  probe: Probe;
  /** What this server does itself. */
  acts: DrillActs;
}

interface Running {
  mark: DrillMark;
  lines: string[];
  stop: AbortController;
  over: boolean;
}

export function drillCommands(core: Core, parts: DrillParts): DrillCommands {
  const store = reportStore(PATHS.drills);
  const { probe } = parts;
  let last: Running | undefined;
  const own: OwnDrill = {
    progress() {
      if (last === undefined) return { running: false, lines: [] };
      return { id: last.mark.id, running: !last.over, lines: last.lines };
    },
    stop: (by) => last?.stop.abort(`by ${by}`),
  };
  return {
    async plan(ask) {
      return planDrill(await parts.status(), ask, wallMs());
    },
    async begin(ask, by) {
      if (last?.over === false) throw running();
      const mark = await markDrill({ ...core, status: async () => parts.status() }, ask, by);
      last = { mark, lines: [], stop: new AbortController(), over: false };
      void drive(core, parts, last, store);
      return { id: mark.id, server: mark.server } satisfies DrillStarted;
    },
    own,
    progress: async () => {
      const here = own.progress();
      return here.running ? here : ((await progressElsewhere(core)) ?? here);
    },
    stop: async (by) => {
      if (own.progress().running) own.stop(by);
      else await stopElsewhere(core, by);
    },
    reports: async () => listReports(core, store),
    report: async (id) => ({ report: await requireReport(core, store, id) }),
    probe: async () => probe.once(),
  };
}

/**
 * What a member answers that has no CA, and so no certificate for a synthetic agent: it shows what
 * servers have.
 */
export function noDrills(core: Core): DrillCommands {
  const refuse = () => {
    throw new Fault(
      "drill.not-here",
      "this member is no server: drills and probes are a server's",
      {
        hints: ["Type it on one: understudy member list"],
      },
    );
  };
  const refuseLater = async () => refuse();
  const idle = { running: false, lines: [] };
  return {
    plan: refuseLater,
    begin: refuseLater,
    own: { progress: () => idle, stop: refuse },
    progress: async () => (await progressElsewhere(core)) ?? idle,
    stop: refuseLater,
    reports: async () => listReports(core, NO_STORE),
    report: async (id) => ({ report: await requireReport(core, NO_STORE, id) }),
    probe: refuseLater,
  };
}

const NO_STORE = { list: async () => [], read: async () => undefined };

async function requireReport(core: Core, store: Pick<ReportStore, "read">, id: string) {
  const report = await findReport(core, store, id);
  if (report !== undefined) return report;
  throw new Fault("drill.unknown", `no server that answers has a report of a drill "${id}"`, {
    hints: ["Which there are, and who can't be asked: understudy drill list"],
  });
}

function running(): Fault {
  return new Fault("drill.running", "another drill is under way", {
    hints: [
      "understudy status shows it. Its mark ends by itself, a quarter of an hour after it began.",
    ],
  });
}

interface MarkHost {
  etcd: Etcd;
  status(): Promise<ClusterStatus>;
  keeper: { loop: Pick<Loop, "wake"> };
  history: Pick<History, "note">;
}

/**
 * Puts the mark into the record, if the cluster can bear the drill as it is then. Throws Fault
 * `drill.refused`, `drill.running`.
 */
export async function markDrill(host: MarkHost, ask: DrillAsk, by: string): Promise<DrillMark> {
  const status = await host.status();
  const nowMs = wallMs();
  const id = randomBytes(6).toString("hex");
  const { drill } = await updateWork(host.etcd, (work) => {
    if (drillUnderWay(work, nowMs) !== undefined) throw running();
    const { refused, server, kind, driver } = planDrill({ ...status, work }, ask, nowMs);
    if (refused.length > 0) {
      throw new Fault("drill.refused", refused[0] ?? "", { hints: refused.slice(1) });
    }
    const until = isoTime(nowMs + MARK_MS);
    return { ...work, drill: { id, kind, server, driver, by, at: isoTime(nowMs), until } };
  });
  host.keeper.loop.wake();
  if (drill?.id !== id) throw running();
  // Now: its driver may not be there any more to tell of the end.
  host.history.note({ kind: "drill", what: `${nameOf(drill)} begins (${id})`, by });
  return drill;
}

/** Holds it, keeps the report, tells the history. Never throws. */
async function drive(core: Core, parts: DrillParts, own: Running, store: ReportStore) {
  const { mark, lines } = own;
  const { id, server, by } = mark;
  const { log, signal } = core;
  const kind = KINDS_BY_NAME.parse(mark.kind);
  const tell = (line: string) => {
    if (lines.length < LINES_MAX) lines.push(line);
    log.notice(`drill ${id}: ${line}`);
  };
  const stop = AbortSignal.any([own.stop.signal, signal]);
  try {
    const report = await holdDrill(hostOf(core, parts), { id, kind, server, by }, tell, stop);
    core.history.note(noteOf(report));
    tell(outcomeOf(report));
    await store.keep(report);
  } catch (error) {
    tell(`its report can't be kept: ${messageOf(error)}`);
  } finally {
    await unmark(core, id);
    own.over = true;
  }
}

const KINDS_BY_NAME = z.enum(Object.keys(KINDS) as [keyof typeof KINDS]);

/** Without the record the mark ends by itself. */
async function unmark({ etcd, keeper, log }: Core, id: string): Promise<void> {
  for (let tries = 1; tries <= UNMARK_TRIES; tries += 1) {
    try {
      await updateWork(etcd, (work) => withoutDrill(work, id));
      keeper.loop.wake();
      return;
    } catch (error) {
      log.warn(`drill ${id}: its mark can't be taken away: ${messageOf(error)}`);
    }
  }
}

function hostOf(core: Core, parts: DrillParts): DrillHost {
  const { node, log, keeper } = core;
  const runtime = edgeRuntime({ stateDir: PATHS.edge, runDir: PATHS.run });
  return {
    driver: node.id,
    status: async () => parts.status(),
    switchover: parts.switchover,
    now: steadyClock(),
    log,
    async glance() {
      const { running, servers } = await observeEdge(runtime);
      const view = keeper.current();
      const held = localAddresses().filter(({ address }) => view && heldBy(view, [address]));
      const states = new Map([
        ["edge", `${node.id}'s edge is ${running ? "up" : "down"}`],
        [
          "held",
          holds(
            node.id,
            held.map(({ address }) => address),
          ),
        ],
      ]);
      for (const { name, state } of servers) {
        states.set(name, `${node.id}'s edge sees ${name}'s puppetserver as ${state}`);
      }
      return states;
    },
    async access(server) {
      const status = await parts.status();
      const found = status.members.find(({ member }) => member.id === server);
      return parts.probe.access(heldBy(requireView(core), found?.local?.addresses ?? []));
    },
    actsOf: (server) => (server === node.id ? parts.acts : peerActs(core, server)),
  };
}

function holds(id: string, addresses: readonly string[]): string {
  return addresses.length === 0
    ? `${id} holds no address`
    : `${id} holds ${addresses.toSorted().join(", ")}`;
}

/** The acts of another member. */
function peerActs(core: Core, id: string): DrillActs {
  const addressOf = () => {
    const member = requireView(core).members.find((each) => each.id === id);
    if (member !== undefined) return member.address;
    throw new Fault("member.not-found", `${id} is no member of this cluster`);
  };
  return {
    async act(body) {
      const options = { body, answer: DrillActed, withinMs: ACT_MS };
      return core.peers.call(addressOf(), "/v1/drill/act", options);
    },
    async undo(body) {
      await core.peers.call(addressOf(), "/v1/drill/undo", {
        body,
        answer: Done,
        withinMs: ACT_MS,
      });
    },
  };
}

function nameOf({ kind, server }: Pick<DrillMark, "kind" | "server">): string {
  return `drill ${kind} at ${server}`;
}

/** The drill as the history tells it. */
export function noteOf(report: DrillReport) {
  const { id, by, figures, actMs, endMs, left } = report;
  const isAsBefore = actMs !== undefined && left.length === 0;
  const ms = (value: number | undefined, what: string) =>
    value === undefined ? [] : [{ what, ms: Math.max(0, Math.round(value)) }];
  return {
    kind: "drill" as const,
    what: `${nameOf(report)} (${id})`,
    because: outcomeOf(report),
    by,
    stages: [
      ...ms(figures?.detectedMs, "detection"),
      ...ms(figures?.takeoverMs, "takeover"),
      ...ms(figures?.outageMs, "no new connection"),
      ...(isAsBefore ? ms(endMs - actMs, "until all was as before") : []),
    ],
  };
}
