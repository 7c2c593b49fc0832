// Whether a drill may be held now, on which server, and what it would mean. Pure. The idea: it is
// refused wherever the cluster is short of something already, since a drill takes one thing more.
// Danger: what can't be seen counts as missing.

import { packagedOf } from "../cluster/backends.ts";
import { judgeOffset, renderOffset } from "../cluster/clock.ts";
import { sumPuppetdbs } from "../cluster/courier-status.ts";
import type { DrillKind } from "../cluster/drill.ts";
import { inWindows } from "../cluster/drill-times.ts";
import { findMember } from "../cluster/find-member.ts";
import { sumPuppetservers } from "../cluster/puppetservers.ts";
import type { ClusterStatus, MemberAnswer } from "../cluster/status.ts";
import { drillUnderWay, outNow, pausesNow, rollUnderWay } from "../cluster/work.ts";
import { quorumOf } from "../etcd/voters.ts";
import { KINDS } from "./kinds.ts";

export interface DrillWish {
  kind: DrillKind;
  /** As people type it; absent: the sensible one. */
  server?: string | undefined;
}

export interface DrillPlan {
  kind: DrillKind;
  /** What it is done to; empty: nothing fits. */
  server: string;
  /** The member that drives and measures it. */
  driver: string;
  /** What it would do, a line each. */
  lines: string[];
  /** Why it isn't held now, a reason each; empty when it may be. */
  refused: string[];
}

/** Kinds whose driver must be another member than their server: it couldn't see how it goes on. */
const NEEDS_ANOTHER: ReadonlySet<DrillKind> = new Set(["daemon-kill", "server-isolate"]);

/**
 * Judges the drill. Throws Fault `member.not-found`, `member.ambiguous` for a name that is none.
 */
export function planDrill(status: ClusterStatus, wish: DrillWish, nowMs: number): DrillPlan {
  const driver = status.answeredBy;
  const { kind } = wish;
  const ids = status.members.map(({ member }) => member.id);
  const fit = candidates(status, kind, driver);
  const meant = wish.server === undefined ? fit[0] : findMember(ids, wish.server);
  const server = meant ?? "";
  const unfit =
    meant === undefined ? noneFor(kind) : fit.includes(meant) ? [] : [notFit(kind, meant)];
  const refused = [
    ...unfit,
    ...busyReasons(status, nowMs),
    ...windowReason(status, nowMs),
    ...brokenReasons(status),
    ...(meant === undefined ? [] : lackingReasons(status, kind, meant)),
  ];
  return {
    kind,
    server,
    driver,
    lines: meant === undefined ? [] : linesOf(status, kind, meant),
    refused,
  };
}

/**
 * Where an address is moved to in a drill: to a server that isn't the driver, whose own connections
 * to it would break. Undefined: there is no third one.
 */
export function moveTo({ members }: ClusterStatus, sides: readonly string[]): string | undefined {
  const fit = members.filter(
    ({ member, local }) =>
      member.role === "server" && member.phase === "ready" && local?.edge?.active === true,
  );
  return fit.find(({ member }) => !sides.includes(member.id))?.member.id;
}

/** Members that it can be done to, the sensible one first. */
function candidates(status: ClusterStatus, kind: DrillKind, driver: string): string[] {
  const all = status.members.filter(({ member }) => member.phase === "ready");
  const servers = all.filter(({ member }) => member.role === "server");
  const holds = ({ local }: MemberAnswer) => (local?.addresses.length ?? 0) > 0;
  const order = (list: readonly MemberAnswer[], first: (answer: MemberAnswer) => boolean) => {
    // A driver that hits itself sees less.
    const rank = (each: MemberAnswer) =>
      (first(each) ? 0 : 2) + (each.member.id === driver ? 1 : 0);
    const apart = NEEDS_ANOTHER.has(kind)
      ? list.filter(({ member }) => member.id !== driver)
      : list;
    return apart.toSorted((a, b) => rank(a) - rank(b)).map(({ member }) => member.id);
  };
  const never = () => false;
  switch (kind) {
    case "puppetserver-kill":
      return order(
        all.filter(({ member }) => member.role !== "witness" && packagedOf(member) !== undefined),
        never,
      );
    case "edge-kill":
    case "server-isolate":
      return order(servers, holds);
    case "vip-move":
      return order(servers.filter(holds), holds);
    case "daemon-kill":
      return order(all, never);
    case "etcd-loss":
      return order(
        all.filter(({ local }) => local?.etcd.runs === "voter" || local?.etcd.runs === "leader"),
        ({ local }) => local?.etcd.runs === "leader",
      );
    case "puppetdb-kill": {
      const used = new Set(
        sumPuppetdbs(status.members).flatMap(({ id, usedBy }) => (usedBy.length > 0 ? [id] : [])),
      );
      return order(
        all.filter(({ member }) => member.puppetdb === "answers"),
        ({ member }) => used.has(member.id),
      );
    }
  }
}

function noneFor(kind: DrillKind): string[] {
  const why: Record<DrillKind, string> = {
    "puppetserver-kill": "no member has a packaged puppetserver that edges know",
    "edge-kill": "there is no server that is ready",
    "daemon-kill": "there is no other member: a daemon can't watch its own death",
    "vip-move": "nobody that answers holds a virtual IP",
    "etcd-loss": "nobody that answers votes in etcd",
    "server-isolate": "there is no other server: a server can't watch itself from outside",
    "puppetdb-kill": "no member has a PuppetDB of its own that answers queries",
  };
  return [why[kind]];
}

function notFit(kind: DrillKind, id: string): string {
  const why: Record<DrillKind, string> = {
    "puppetserver-kill": "has no packaged puppetserver that edges know, or isn't ready",
    "edge-kill": "is no server that is ready",
    "daemon-kill": "drives the drill itself (type it on another server), or isn't ready",
    "vip-move": "holds no virtual IP",
    "etcd-loss": "doesn't vote in etcd",
    "server-isolate": "drives the drill itself (type it on another server), or is no server",
    "puppetdb-kill": "has no PuppetDB of its own that answers queries",
  };
  return `${id} ${why[kind]}`;
}

/** Work of others that a drill would disturb, or that would disturb it. */
function busyReasons({ work, members }: ClusterStatus, nowMs: number): string[] {
  const drill = drillUnderWay(work, nowMs);
  const roll = rollUnderWay(work);
  const moving = members.filter(({ local }) => (local?.switchovers?.length ?? 0) > 0);
  return [
    ...(drill === undefined
      ? []
      : [`another drill is under way: ${drill.kind} at ${drill.server}, for ${drill.by}`]),
    ...(roll === undefined
      ? []
      : [`servers are taken one after another (${roll.does}), for ${roll.by}`]),
    ...outNow(work, nowMs)
      .filter(({ id }) => roll?.now?.id !== id)
      .map(({ id, because }) => `${id} gets nothing new: ${because}`),
    ...pausesNow(work, nowMs).map(
      ({ scope, id, by }) =>
        `${scope === "server" ? (id ?? "a server") : scope} is paused by ${by}`,
    ),
    ...moving.map(({ member }) => `${member.id} still keeps connections of a switchover`),
  ];
}

function windowReason({ settings }: ClusterStatus, nowMs: number): string[] {
  const { drillWindows = [] } = settings;
  if (drillWindows.length === 0 || inWindows(drillWindows, nowMs)) return [];
  return [`drills may be held at ${drillWindows.join(", ")} (UTC) only: understudy config show`];
}

/** What is broken now: a drill takes something more away. */
function brokenReasons({ members, etcd, settings }: ClusterStatus): string[] {
  const alarms = new Set(members.flatMap(({ local }) => local?.etcd.alarms ?? []));
  const held = settings.virtualIps.map((vip) => vip.split("/")[0] ?? vip);
  const holders = (address: string) =>
    members.filter(({ local }) => local?.addresses.includes(address) === true).length;
  return [
    ...(etcd.quorum ? [] : ["etcd has no quorum"]),
    ...etcd.silent.map(({ id }) => `${id}'s vote in etcd is missing`),
    ...[...alarms].map((alarm) => `etcd has raised the alarm ${alarm}`),
    ...members.flatMap((answer) => brokenAt(answer)),
    ...sumPuppetservers(members)
      .filter(({ state }) => state !== "up")
      .map(({ member, name, state }) => `puppetserver ${name} of ${member} is ${state}`),
    ...held
      .filter((address) => holders(address) !== 1)
      .map((address) => `${address} is held by ${holders(address)} servers`),
    ...sumPuppetdbs(members)
      .filter(({ fit }) => !fit)
      .map(({ id, because }) => `PuppetDB of ${id} isn't fit: ${because}`),
  ];
}

function brokenAt({ member, local, because }: MemberAnswer): string[] {
  const { id } = member;
  if (member.phase !== "ready") return [`${id} is ${member.phase}`];
  if (local === undefined) return [`${id} doesn't answer: ${because}`];
  const offsetMs = local.clock?.offsetMs ?? 0;
  return [
    // Each member judges by its own clock when a drill is over.
    ...(judgeOffset(offsetMs) === "wrong"
      ? [`${id}'s clock is ${renderOffset(offsetMs)} the others'`]
      : []),
    ...(local.record.reachable ? [] : [`${id} can't reach the record`]),
    ...(local.edge?.active === false ? [`${id}'s edge is down`] : []),
    ...(local.ca?.serving === false ? [`${id}'s CA can't serve`] : []),
    ...(local.courier?.runs === false ? [`${id}'s courier doesn't run`] : []),
  ];
}

/** What nobody else could do while the server is without it. */
function lackingReasons({ members, etcd }: ClusterStatus, kind: DrillKind, id: string): string[] {
  const others = members.filter(({ member }) => member.id !== id);
  const edges = others.filter(({ local }) => local?.edge?.active === true);
  const compiling = sumPuppetservers(members).filter(
    ({ member, state }) => member !== id && state === "up",
  );
  const puppetdbs = sumPuppetdbs(members);
  const votes = members.some(
    ({ member, local }) => member.id === id && local?.etcd.runs !== "no" && local !== undefined,
  );
  const reasons = {
    edge: edges.length > 0 ? [] : [`no other edge is up: without ${id} agents reach nobody`],
    compile: compiling.length > 0 ? [] : ["no other puppetserver is up"],
    etcd:
      votes && etcd.answering - 1 < quorumOf(etcd.voters)
        ? [`${etcd.answering} of ${etcd.voters} vote in etcd: without ${id} nothing can be changed`]
        : [],
    puppetdb: puppetdbs.some((each) => each.id !== id && each.fit)
      ? []
      : ["no other PuppetDB is fit"],
  };
  switch (kind) {
    case "puppetserver-kill":
      return reasons.compile;
    case "edge-kill":
    case "vip-move":
      return reasons.edge;
    case "daemon-kill":
      return [];
    case "etcd-loss":
      return reasons.etcd;
    case "server-isolate":
      return [
        ...reasons.edge,
        ...reasons.compile,
        ...reasons.etcd,
        ...(puppetdbs.some((each) => each.id === id) ? reasons.puppetdb : []),
      ];
    case "puppetdb-kill":
      return reasons.puppetdb;
  }
}

function linesOf({ members, answeredBy }: ClusterStatus, kind: DrillKind, id: string): string[] {
  const { does, expected, back } = KINDS[kind];
  const { addresses = [] } = members.find(({ member }) => member.id === id)?.local ?? {};
  const breaks = kind === "edge-kill" || kind === "server-isolate";
  return [
    `${id}: ${does}.`,
    ...(breaks && addresses.length > 0
      ? [`It holds ${addresses.join(", ")}: agents that are connected to it lose their connection.`]
      : []),
    `It comes back: ${back}.`,
    `Agents should notice: ${expected}.`,
    `${answeredBy} measures it: new connections all the time, catalogs as an agent asks for them.`,
    ...(answeredBy === id ? [`That is the same server: another one sees it as agents do.`] : []),
  ];
}
