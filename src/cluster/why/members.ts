// Why a member is as it is, and why the cluster isn't as ready as it could be. Pure.

import type { HistoryEntry } from "../history/entry.ts";
import { sumPuppetservers } from "../puppetservers.ts";
import type { Member } from "../schema.ts";
import type { MemberAnswer } from "../status.ts";
import type { Case, Said } from "./explain.ts";
import { happened, names, now, planned, warned } from "./lines.ts";

export function explainMember(given: Case, id: string): Said {
  const { members } = given.status;
  const answer = members.find(({ member }) => member.id === id);
  const { notes } = given.status;
  const warnings = warned(given, (text) => names(text, id)).filter(
    ({ what }) => !notes.includes(what),
  );
  const { verdict, todo } = judge(id, answer, { warnings: warnings.length, notes });
  const own = sumPuppetservers(members).filter(({ member }) => member === id);
  return {
    verdict,
    todo,
    evidence: [
      ...happened(given, (entry) => isOf(entry, id)),
      ...planned(given, (member) => member === id),
      ...own.map(({ name, state, because }) =>
        now("edges", `puppetserver ${name} is ${state}${because === "" ? "" : `: ${because}`}`),
      ),
      ...warnings,
    ],
  };
}

export function explainReadiness(given: Case): Said {
  const { status } = given;
  const silent = status.members.filter(({ local }) => local === undefined);
  const todo = silent.map(({ member }) => wake(member));
  if (!status.etcd.quorum) {
    todo.push("Agents are served; bring etcd back: systemctl status understudy-etcd on each voter");
  }
  if (todo.length === 0 && status.warnings.length > 0) {
    todo.push("One member's part of it: understudy why SERVER");
  }
  return {
    verdict: status.verdict,
    todo,
    evidence: [
      ...happened(given, ({ kind }) => TELLING.has(kind)),
      ...planned(given, (_, loop) => loop === "voters" || loop === "own etcd"),
      ...warned(given, () => true),
    ],
  };
}

/** Kinds that may have made the cluster less ready. */
const TELLING = new Set([
  "address",
  "ca",
  "clock",
  "daemon",
  "edge",
  "etcd",
  "member",
  "puppetdb",
  "puppetserver",
  "record",
]);

/** Whether an entry is of `id`: told by it, or of it by others. */
function isOf({ member, what, because, seen }: HistoryEntry, id: string): boolean {
  if (names(what, id) || names(because, id)) return true;
  return member === id && seen === undefined;
}

function judge(
  id: string,
  answer: MemberAnswer | undefined,
  { warnings, notes }: { warnings: number; notes: readonly string[] },
): { verdict: string; todo: string[] } {
  const { local, because = "", member } = answer ?? {};
  if (local === undefined && member?.phase === "joining") {
    return { verdict: `${id} hasn't finished joining: ${because}.`, todo: [wake(member)] };
  }
  if (local === undefined) {
    const verdict = `${id}'s daemon can't be asked: ${because}. Its edge, its puppetserver and its address may well be up: agents need no daemon.`;
    return { verdict, todo: member === undefined ? [] : [wake(member)] };
  }
  if (member?.phase === "leaving") {
    const verdict = `${id} is on its way out of the cluster.`;
    return { verdict, todo: [`There: understudy leave. Else: understudy member remove ${id}`] };
  }
  if (local.edge?.active === false) {
    const verdict = `${id}'s edge is down: ${local.edge.because}. It takes no agents and no address.`;
    return {
      verdict,
      todo: [`On ${id}: systemctl status understudy-edge; journalctl -u understudy-edge`],
    };
  }
  if (!local.record.reachable) {
    const verdict = `${id} serves agents, but can't reach the record: ${local.record.because}.`;
    return { verdict, todo: ["Which etcd members answer: understudy status"] };
  }
  const note = notes.find((text) => text.startsWith(`${id} `));
  if (note !== undefined) return { verdict: note, todo: [] };
  if (warnings > 0) {
    const verdict = `${id} answers; ${warnings === 1 ? "one thing is" : `${warnings} things are`} to be looked at.`;
    return { verdict, todo: [] };
  }
  return {
    verdict: `${id} is ${member?.phase ?? "ready"}, and nothing is to be looked at.`,
    todo: [],
  };
}

function wake({ id, phase }: Member): string {
  if (phase === "joining") {
    return `There: understudy join, as before. Else: understudy member remove ${id}`;
  }
  return `On ${id}: systemctl status understudy; journalctl -u understudy. Dead for good: understudy member remove ${id}`;
}
