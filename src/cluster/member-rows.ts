// The members as people see them, a row each: on the command line, in the dashboard. Pure.

import { renderDuration } from "../base/duration.ts";
import { type PuppetdbSum, renderPuppetdb, sumPuppetdbs } from "./courier-status.ts";
import { type Puppetserver, sumPuppetservers } from "./puppetservers.ts";
import type { Member } from "./schema.ts";
import type { ClusterStatus, LocalStatus, MemberAnswer } from "./status.ts";
import { drainOf, isOut, rollUnderWay, type Work } from "./work.ts";

export interface MemberRows {
  head: string[];
  /** As many cells each as `head` has; the first is the member's id. */
  rows: string[][];
}

/** A row for each member. */
export function memberRows(status: ClusterStatus): MemberRows {
  const puppetservers = sumPuppetservers(status.members);
  const rows = status.members.map((answer) => row(status, answer, puppetservers));
  // Clusters without PuppetDB needn't read of it.
  const hasCouriers = status.members.some(({ member }) => member.courier === true);
  const puppetdbs = sumPuppetdbs(status.members);
  const head = hasCouriers ? HEAD.toSpliced(-1, 0, "PUPPETDB") : HEAD;
  const full = rows.map((cells, index) =>
    hasCouriers ? cells.toSpliced(-1, 0, renderCourier(status.members[index], puppetdbs)) : cells,
  );
  return { head, rows: full };
}

const HEAD = [
  "MEMBER",
  "ROLE",
  "STATE",
  "ETCD",
  "ADDRESS",
  "EDGE",
  "PUPPETSERVER",
  "CA",
  "VERSION",
];

function row(
  { etcd, work }: ClusterStatus,
  { member, local }: MemberAnswer,
  puppetservers: readonly Puppetserver[],
): string[] {
  // Other members' edges tell of it, also when its own daemon is silent.
  const compiles = renderPuppetservers(member, puppetservers);
  if (local === undefined) {
    return [member.id, member.role, "no answer", "?", "?", "?", compiles, "?", member.version];
  }
  return [
    member.id,
    member.role,
    stateOf(work, member, local.wallMs),
    renderEtcd(local, etcd.silent),
    local.addresses.join(" ") || "-",
    renderEdge(local),
    compiles,
    renderCa(local),
    local.version,
  ];
}

/** What a member is: its phase, or what is planned for it. */
export function stateOf(work: Work, { id, phase }: Member, nowMs: number): string {
  if (phase !== "ready" || !isOut(work, id, nowMs)) return phase;
  if (drainOf(work, id, nowMs) !== undefined) return "drained";
  return rollUnderWay(work)?.does === "upgrade" ? "upgrading" : "restarting";
}

function renderEtcd(local: LocalStatus, silent: readonly { id: string }[]): string {
  if (silent.some(({ id }) => id === local.id)) return "no vote";
  return local.etcd.runs === "no" ? "client" : local.etcd.runs;
}

function renderEdge({ edge }: LocalStatus): string {
  if (edge === undefined) return "-";
  return edge.active ? `${edge.waiting} wait` : "down";
}

function renderPuppetservers(
  { id, backends }: Member,
  puppetservers: readonly Puppetserver[],
): string {
  const own = puppetservers.filter(({ member }) => member === id);
  if (own.length === 0) return backends.length === 0 ? "-" : "?";
  return own
    .map(({ state, busy, jrubies, because }) =>
      state === "up" ? `${busy} of ${jrubies} busy` : `${state} ${because}`.trim(),
    )
    .join("; ");
}

/** The courier, and the PuppetDB beside it: "fit", "courier", "no courier". */
function renderCourier(
  answer: MemberAnswer | undefined,
  puppetdbs: readonly PuppetdbSum[],
): string {
  if (answer?.member.courier !== true) return "-";
  const own = puppetdbs.find(({ id }) => id === answer.member.id);
  const beside = own === undefined ? "courier" : renderPuppetdb(own);
  // Its requests go to another courier, not its PuppetDB's.
  if (answer.local?.courier === undefined) return own === undefined ? "?" : beside;
  return answer.local.courier.runs ? beside : "no courier";
}

function renderCa(local: LocalStatus): string {
  const { ca } = local;
  if (ca === undefined) return "-";
  if (ca.ejected !== undefined) {
    const { to, handedOver } = ca.ejected;
    if (to !== local.id) return `stock's on ${to}`;
    return handedOver ? "stock's" : "ended";
  }
  if (!ca.serving) return "not serving";
  const next = ca.nextExpiry;
  const seconds = next === undefined ? undefined : (Date.parse(next.at) - local.wallMs) / 1000;
  const expiry = seconds === undefined ? "" : `, next expiry in ${renderDuration(seconds)}`;
  return `${ca.requests} waiting${expiry}`;
}
