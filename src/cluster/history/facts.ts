// What is so, as far as history cares: subject → state, from what a member says of itself and what
// its view has. Pure. The idea: history is told from what changed between two looks, so nothing
// that happens can forget to say so. A subject that can't be looked at now keeps its last state.

import { createHash } from "node:crypto";
import { z } from "zod";
import { judgeOffset, renderOffset } from "../clock.ts";
import type { LocalStatus } from "../status.ts";
import { NOT_READ_YET } from "../view-keeper.ts";
import type { View } from "../view.ts";
import type { Roll } from "../work.ts";

/** How many facts are kept; those of what is no more go first. */
const FACTS_MAX = 1000;
const STATE_MAX = 200;

export const Fact = z.object({
  state: z.string(),
  /** Why, where somebody says so. */
  because: z.string().optional(),
  /** What is counted with it. */
  count: z.number().optional(),
});
export type Fact = z.infer<typeof Fact>;

/** By "topic name". */
export const Facts = z.record(z.string(), Fact);
export type Facts = z.infer<typeof Facts>;

export interface FactSources {
  local: LocalStatus;
  view: View | undefined;
  /** Whether this member runs the cluster's chores. */
  leads: boolean;
  /** The other members that have been asked, and whether each has answered lately. */
  answering: ReadonlyMap<string, boolean>;
}

/** All that can be told now. `before`: what was known. */
export function gatherFacts(sources: FactSources, before: Facts): Facts {
  const { local, view, leads, answering } = sources;
  const { record } = local;
  const facts: Facts = {
    ...(record.because === NOT_READ_YET
      ? {}
      : { "record ": { state: yes(record.reachable), because: record.because } }),
    "leader ": { state: yes(leads) },
    "etcd ": { state: local.etcd.runs, because: local.etcd.because },
    "version ": { state: local.version },
    ...(local.etcd.runs === "no" ? {} : { "alarms ": { state: local.etcd.alarms.join(" ") } }),
    ...ofClock(local),
    ...ofEdge(local),
    ...ofCa(local),
    ...ofCourier(local),
  };
  for (const [id, answers] of answering) facts[`answers ${id}`] = { state: yes(answers) };
  if (view === undefined) return facts;
  const here = new Set(local.addresses);
  for (const vip of view.settings.virtualIps) {
    const address = vip.split("/")[0] ?? vip;
    const because = here.has(address) ? "" : whyAway(local);
    facts[`address ${address}`] = { state: yes(here.has(address)), because };
  }
  const work = ofWork(view, local.wallMs);
  return { ...facts, ...ofView(view), ...work, ...gone(view, before), ...ended(work, before) };
}

/** What is known after a look: what it couldn't tell stays as it was. */
export function keepFacts(before: Facts, now: Facts): Facts {
  const merged = { ...before, ...now };
  for (const [subject, fact] of Object.entries(now)) {
    const was = before[subject];
    // A count is of the moment when its state began: it may come a moment before the next one.
    if (was?.count !== undefined && was.state === fact.state) merged[subject] = was;
  }
  const all = Object.entries(merged).filter(([, { state }]) => state !== GONE);
  // New ones come last; of too many the oldest that wasn't seen now goes.
  const surplus = Math.max(0, all.length - FACTS_MAX);
  const old = all.filter(([subject]) => !(subject in now)).slice(0, surplus);
  const dropped = new Set(old.map(([subject]) => subject));
  return Object.fromEntries(all.filter(([subject]) => !dropped.has(subject)));
}

/** What makes keepalived give an address up, as far as it is so here now. */
function whyAway({ edge, record }: LocalStatus): string {
  if (edge?.active === false) return `its edge is down: ${edge.because}`;
  return record.reachable ? "" : "it can't reach the record, so it is last in line";
}

export const GONE = "gone";

function ofClock({ clock }: LocalStatus): Facts {
  if (clock?.offsetMs === undefined) return {};
  const because = `${renderOffset(clock.offsetMs)} the others'`;
  return { "clock ": { state: judgeOffset(clock.offsetMs), because } };
}

function ofEdge({ edge }: LocalStatus): Facts {
  if (edge === undefined) return {};
  const facts: Facts = { "edge ": { state: yes(edge.active), because: edge.because } };
  if (edge.certificate !== undefined) {
    const { names, endsAt } = edge.certificate;
    facts["certificate "] = { state: endsAt, because: names.join(", ") };
  }
  for (const { name, state, because } of edge.backends) {
    if (state !== "unknown") facts[`puppetserver ${name}`] = { state, because };
  }
  return facts;
}

function ofCa({ ca }: LocalStatus): Facts {
  if (ca === undefined) return {};
  const facts: Facts = {
    "ca ": { state: yes(ca.serving), because: ca.because },
    "ca-of ": { state: ca.ejected === undefined ? "cluster" : ca.ejected.to },
  };
  // What stock's CA revokes isn't counted here.
  if (ca.ejected === undefined && ca.crlNumber > 0 && ca.revocations !== undefined) {
    facts["crl "] = { state: String(ca.crlNumber), count: ca.revocations };
  }
  return facts;
}

function ofCourier({ courier }: LocalStatus): Facts {
  if (courier === undefined) return {};
  const facts: Facts = { "courier ": { state: yes(courier.runs), because: courier.because } };
  if (!courier.runs) return facts;
  for (const { id, fit, because } of courier.puppetdbs) {
    facts[`puppetdb ${id}`] = { state: yes(fit), because };
  }
  if (courier.queries !== undefined) facts["queries "] = { state: courier.queries };
  return facts;
}

function ofView({ members, settings, etcdMembers }: View): Facts {
  const facts: Facts = {};
  for (const member of members) {
    const { id, phase, role, address, backends, puppetdb, puppetdbAccepted } = member;
    facts[`member ${id}`] = { state: phase, because: `${role}, ${address}` };
    facts[`puppetdb-of ${id}`] = { state: puppetdb ?? "none" };
    facts[`puppetdb-accepted ${id}`] = { state: puppetdbAccepted ?? "never" };
    facts[`backends ${id}`] = { state: brief(backends.map(({ name }) => name).join(", ")) };
    for (const { name, unfit } of backends) {
      facts[`unfit ${id}/${name}`] = { state: unfit === "" ? "fit" : "unfit", because: unfit };
    }
  }
  const voters = etcdMembers.filter(({ learner, name }) => !learner && name !== "");
  const names = voters.map(({ name }) => name).toSorted();
  if (names.length > 0) facts["voters "] = { state: names.join(", ") };
  for (const [key, value] of Object.entries(settings)) {
    facts[`setting ${key}`] = { state: brief(JSON.stringify(value)) };
  }
  return facts;
}

/** Planned work that is in force. */
function ofWork({ work }: View, nowMs: number): Facts {
  const facts: Facts = {};
  const holds = ({ until }: { until?: string | undefined }) =>
    until === undefined || Date.parse(until) > nowMs;
  for (const { id, by, reason, until = "" } of work.drains.filter(holds)) {
    facts[`drain ${id}`] = { state: until || "somebody ends it", because: quoted(by, reason) };
  }
  for (const { scope, id, by, reason, until } of (work.pauses ?? []).filter(holds)) {
    facts[`pause ${id ?? scope}`] = { state: until, because: quoted(by, reason) };
  }
  for (const roll of [work.roll, work.upgrade]) {
    if (roll === undefined) continue;
    const because = roll.end?.because || quoted(roll.by, roll.reason);
    const topic = roll.does === "upgrade" ? "upgrade" : "roll";
    facts[`${topic} ${roll.key}`] = { state: stateOf(roll), because };
  }
  return facts;
}

function stateOf({ end, done, ids, upgrade }: Roll): string {
  const parts = upgrade === undefined ? "" : ` (${upgrade.parts.join(", ")})`;
  if (end === undefined) return `begun${parts}`;
  return `${end.how}, ${done.map(({ id }) => id).join(", ") || "none"} of ${ids.length}`;
}

function quoted(by: string, reason: string): string {
  return reason === "" ? `by ${by}` : `by ${by}: "${reason}"`;
}

/** Planned work that was in force, and isn't. */
function ended(now: Facts, before: Facts): Facts {
  const over = Object.keys(before).filter(
    (subject) => /^(?:drain|pause|roll|upgrade) /.test(subject) && !(subject in now),
  );
  return Object.fromEntries(over.map((subject) => [subject, { state: GONE }]));
}

/** Members and settings that were there, and that the view has no more. */
function gone({ members, settings }: View, before: Facts): Facts {
  const facts: Facts = {};
  const there = new Set(members.map(({ id }) => id));
  for (const [subject, { state }] of Object.entries(before)) {
    const [topic = "", name = ""] = subject.split(" ");
    if (topic === "setting" && !(name in settings)) facts[subject] = { state: GONE };
    if (!OF_MEMBERS.has(topic) || there.has(name.split("/")[0] ?? "")) continue;
    facts[subject] = { state: GONE, because: `it was ${state}` };
  }
  return facts;
}

const OF_MEMBERS = new Set([
  "member",
  "answers",
  "puppetdb-of",
  "puppetdb-accepted",
  "backends",
  "unfit",
]);

/** A long value with what tells it from another that begins alike. */
function brief(text: string): string {
  if (text.length <= STATE_MAX) return text;
  const sum = createHash("sha256").update(text).digest("hex").slice(0, 8);
  return `${text.slice(0, STATE_MAX - 10)}… ${sum}`;
}

function yes(value: boolean): string {
  return value ? "yes" : "no";
}
