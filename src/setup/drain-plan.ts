// What draining a server means, said before it is done, and whether it is drained by now. Pure: the
// cluster's status in, words and figures out.

import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { BUSY_MAX, judgeCapacity } from "../cluster/capacity.ts";
import { sumPuppetdbs } from "../cluster/courier-status.ts";
import { type Puppetserver, sumPuppetservers } from "../cluster/puppetservers.ts";
import type { ClusterStatus, MemberAnswer } from "../cluster/status.ts";
import { drainOf, drillInTheWay, isOut, isPaused, isWithoutAddresses } from "../cluster/work.ts";
import { quorumOf } from "../etcd/voters.ts";
import { priorityOf } from "../vip/render.ts";
import type { DrainPlan, DrainProgress, HandedOver } from "./work-contract.ts";

/**
 * What draining `id` means now. `handing`: who is handed its addresses, and why connections to
 * them break when these move; empty: they go on. `refused`: why it isn't done without --force.
 * Throws Fault `drain.refused` where there is nothing to drain.
 */
export function planDrain(
  status: ClusterStatus,
  id: string,
  nowMs: number,
  { to, breaks }: Partial<Pick<HandedOver, "to" | "breaks">> = {},
): DrainPlan {
  const target = status.members.find(({ member }) => member.id === id);
  if (target === undefined) throw new Fault("member.not-found", `${id} is no member any more`);
  requireDrainable(target);
  const ready = heirsOf(status, id, nowMs);
  const heirs = ready.toSorted((a, b) => Number(b === to) - Number(a === to));
  const capacity = capacityWithout(status, id, nowMs);
  const steps = stepsOf(status, target, heirs);
  return {
    id,
    refused:
      drillInTheWay(status.work, nowMs) ||
      whyNot(status, target, heirs, capacity) ||
      whyNotHere(status, id, heirs),
    topology: topologyOf(status, id, heirs, nowMs),
    steps,
    capacity,
    risks: risksOf(status, target, { heirs, breaks: breaks ?? "", capacity, nowMs }),
  };
}

function requireDrainable({ member: { id, role, phase } }: MemberAnswer): void {
  const no = (because: string) => new Fault("drain.refused", `${id} ${because}`);
  if (role === "witness") throw no("is a witness: agents get nothing from it");
  if (phase === "leaving") throw no("is leaving: nothing new goes there already");
}

/** Servers that can take agents and addresses without `id`, the next holder of addresses first. */
export function heirsOf(status: ClusterStatus, id: string, nowMs: number): string[] {
  const servers = status.members.filter(({ member }) => member.role === "server");
  const all = servers.map(({ member }) => member.address);
  return servers
    .filter(
      ({ member, local }) =>
        member.id !== id &&
        member.phase === "ready" &&
        local?.edge?.active === true &&
        !isWithoutAddresses(status.work, member.id, nowMs),
    )
    .toSorted((a, b) => priorityOf(b.member.address, all) - priorityOf(a.member.address, all))
    .map(({ member }) => member.id);
}

/**
 * JRubies that take requests, before and without `id`, and what they have to do. Whoever the record
 * has out takes none, though edges may still see it as it was a moment ago.
 */
export function capacityWithout(
  { members, work }: ClusterStatus,
  id: string,
  nowMs: number,
): DrainPlan["capacity"] {
  const all = sumPuppetservers(members);
  const up = all.filter(({ state, member }) => state === "up" && !isOut(work, member, nowMs));
  const jrubies = (some: readonly Puppetserver[]) =>
    some.reduce((sum, each) => sum + each.jrubies, 0);
  return {
    now: jrubies(up),
    left: jrubies(up.filter(({ member }) => member !== id)),
    busy: all.reduce((sum, { busy }) => sum + busy, 0),
    waiting: members.reduce((sum, { local }) => sum + (local?.edge?.waiting ?? 0), 0),
  };
}

function whyNot(
  status: ClusterStatus,
  { member: { id, role } }: MemberAnswer,
  heirs: readonly string[],
  { left, now }: DrainPlan["capacity"],
): string {
  if (role === "server" && heirs.length === 0) {
    return `no other server is ready to take agents: without ${id} nobody would`;
  }
  if (left > 0 || now === 0) return "";
  const has = status.members.some(
    ({ member }) => member.id !== id && member.backends.some(({ unfit }) => unfit === ""),
  );
  return has ? `no other puppetserver is up` : `no other member has a puppetserver`;
}

/** Why `id` isn't drained from the member that was asked; empty: it may be. */
function whyNotHere(status: ClusterStatus, id: string, heirs: readonly string[]): string {
  const addresses = addressesOf(status, id).join(" and ");
  const asked = status.members.find(({ member }) => member.id === status.answeredBy)?.member;
  if (addresses === "" || heirs.length === 0) return "";
  if (asked === undefined || asked.role === "server") return "";
  return `${asked.id} is no server: from here open connections to ${addresses} break. On a server none does: understudy drain ${id}`;
}

function topologyOf(
  status: ClusterStatus,
  id: string,
  heirs: readonly string[],
  nowMs: number,
): DrainPlan["topology"] {
  const puppetservers = sumPuppetservers(status.members);
  const moved = addressesOf(status, id);
  return status.members.map(({ member, local }) => {
    const own = puppetservers.filter((each) => each.member === member.id);
    const jrubies = own.reduce((sum, each) => sum + (each.state === "up" ? each.jrubies : 0), 0);
    const held = local?.addresses ?? [];
    const is = (drained: boolean, addresses: readonly string[]) =>
      [
        ...(drained ? ["drained"] : own.length === 0 ? [] : [`${jrubies} JRubies`]),
        ...addresses,
      ].join(", ") || "-";
    const drained = drainOf(status.work, member.id, nowMs) !== undefined;
    const after = member.id === id ? [] : [...held, ...(member.id === heirs[0] ? moved : [])];
    const stays = heirs.length === 0 && member.id === id ? held : after;
    return { id: member.id, now: is(drained, held), then: is(drained || member.id === id, stays) };
  });
}

/** The virtual addresses that `id` holds. */
export function addressesOf({ members }: ClusterStatus, id: string): string[] {
  return members.find(({ member }) => member.id === id)?.local?.addresses ?? [];
}

function stepsOf(
  status: ClusterStatus,
  { member, local }: MemberAnswer,
  heirs: readonly string[],
): DrainPlan["steps"] {
  const { id } = member;
  const steps: DrainPlan["steps"] = [];
  if (member.backends.length > 0) {
    steps.push({
      what: `edges give ${id}'s puppetserver nothing new`,
      because: "what runs there ends there; when no other one is up, it is asked all the same",
    });
  }
  for (const address of local?.addresses ?? []) {
    const what = heirs[0] === undefined ? `${address} stays` : `${address} goes to another server`;
    const because =
      heirs[0] === undefined ? "no other server is ready" : `${heirs[0]} is next in line`;
    steps.push({ what, because });
  }
  const databases = sumPuppetdbs(status.members);
  if (databases.some((each) => each.id === id)) {
    const another = databases.some((each) => each.id !== id && each.fit);
    steps.push(
      another
        ? { what: `queries go to another PuppetDB`, because: "commands go on to this one too" }
        : { what: `its PuppetDB goes on answering queries`, because: "no other one is fit" },
    );
  }
  steps.push({
    what: `its ${member.role === "server" ? "edge, its CA and its courier go" : "daemon goes"} on`,
    because: "a drain stops nothing",
  });
  return steps;
}

interface RiskFacts {
  heirs: readonly string[];
  breaks: string;
  capacity: DrainPlan["capacity"];
  nowMs: number;
}

function risksOf(
  status: ClusterStatus,
  { member, local }: MemberAnswer,
  { heirs, breaks, capacity, nowMs }: RiskFacts,
): string[] {
  const { left, now, busy, waiting } = capacity;
  const { id, role } = member;
  const risks: string[] = [];
  const more = busy + waiting - left;
  if (more > 0) risks.push(`${more} of the requests that run now would wait at the edges`);
  else if (now > 0 && left * 2 < now) {
    risks.push(`less than half of the JRubies is left: runs take longer, requests may wait`);
  }
  const { busiest } = judgeCapacity(status.members);
  if (busiest !== undefined && left > 0 && left * BUSY_MAX < busiest.load) {
    risks.push(
      `the busiest half hour of the last day asked for ${busiest.load.toFixed(1)} JRubies at once: with ${left} agents queue up then`,
    );
  }
  const { addresses = [], edge } = local ?? {};
  if (addresses.length > 0 && heirs.length > 0 && breaks !== "") {
    const open = edge?.connections === undefined ? "" : ` (${edge.connections} now)`;
    risks.push(
      `connections that are open to ${addresses.join(", ")}${open} break when it moves: ${breaks}`,
    );
  }
  if (heirs.length === 1) risks.push(`only ${heirs[0]} takes agents then`);
  if (role === "server" && status.settings.virtualIps.length === 0) {
    risks.push(
      `there is no virtual IP: agents go on to come to its edge by DNS or a balancer, and are served; before it is switched off take it out there`,
    );
  }
  if (local === undefined) {
    risks.push(
      `${id} doesn't answer: what runs there can't be seen, an address that it holds stays`,
    );
  }
  if (addresses.length > 0 && isPaused(status.work, id, nowMs, "addresses")) {
    risks.push(`moves of addresses are paused: its addresses stay until they aren't any more`);
  }
  const { voters, answering } = status.etcd;
  const votes = local?.etcd.runs === "leader" || local?.etcd.runs === "voter";
  if (votes && voters > 1 && answering - 1 < quorumOf(voters)) {
    risks.push(`while it is switched off, nothing can be changed: etcd has no quorum then`);
  }
  return risks;
}

/** How far the drain of `id` has come. `running`: what its puppetserver itself tells, if it does. */
export function judgeDrained(
  status: ClusterStatus,
  id: string,
  running: number | undefined,
): DrainProgress {
  const target = status.members.find(({ member }) => member.id === id);
  const rows = status.members.flatMap(({ member, local }) =>
    (local?.edge?.backends ?? [])
      .filter((row) => row.member === id)
      .map((row) => ({ ...row, edge: member.id })),
  );
  const requests = Math.max(
    rows.reduce((sum, { busy }) => sum + busy, 0),
    running ?? 0,
  );
  const addresses = addressesOf(status, id);
  const { connections = 0, formerWorkers = 0 } = target?.local?.edge ?? {};
  // Where agents come by DNS they go on coming: nothing ends.
  const open = status.settings.virtualIps.length === 0 || addresses.length > 0 ? 0 : connections;
  const left = [
    ...rows
      .filter(({ state }) => state === "up")
      .map(({ edge }) => `${edge}'s edge still sends it requests`),
    ...(requests === 0 ? [] : [`${countOf(requests, "request")} still there`]),
    ...(running === undefined && mayRunUntold(status, id)
      ? [`what its puppetserver works on can't be told yet`]
      : []),
    ...addresses.map((address) => `it still holds ${address}`),
    ...(open === 0 ? [] : [`${countOf(open, "connection")} of agents to its edge`]),
    ...(formerWorkers === 0 ? [] : [`its edge still ends what it had before`]),
    // Its own daemon has it give addresses up.
    ...(target?.member.role === "server" && target.local === undefined
      ? [`it doesn't answer: whether it holds an address can't be told`]
      : []),
  ];
  const silent = status.members.flatMap(({ member, local }) =>
    member.role === "server" && local === undefined && member.id !== id ? [member.id] : [],
  );
  return { id, drained: left.length === 0, requests, addresses, left, silent };
}

/**
 * Whether requests may run in the puppetservers of `id` that no edge tells of: what was sent before
 * an edge's last reload only the puppetserver itself knows.
 */
export function mayRunUntold({ members }: Pick<ClusterStatus, "members">, id: string): boolean {
  const edges = members.flatMap(({ local }) => (local?.edge?.active === true ? [local.edge] : []));
  const rows = edges.flatMap(({ backends }) => backends).filter(({ member }) => member === id);
  const isAlive = rows.some(({ state }) => state === "up" || state === "drained");
  return isAlive && edges.some(({ formerWorkers = 0 }) => formerWorkers > 0);
}

/** The plan as text for people. */
export function renderDrainPlan(plan: DrainPlan): string {
  const { capacity, topology, steps, risks } = plan;
  const rows = topology.map(({ id, now, then }) => [id, now, then]);
  const { left, now, busy, waiting } = capacity;
  return [
    renderTable(["MEMBER", "NOW", "THEN"], rows),
    "",
    ...steps.map(
      ({ what, because }, index) => `${String(index + 1).padStart(2)}. ${what}: ${because}`,
    ),
    "",
    `Capacity: ${left} of ${now} JRubies are left; ${countOf(busy, "request")} run now, ${waiting} wait.`,
    ...(risks.length === 0 ? [] : ["At risk:", ...risks.map((risk) => ` - ${risk}`)]),
    ...(plan.refused === "" ? [] : [`Refused without --force: ${plan.refused}.`]),
  ].join("\n");
}

export function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
