// Whether the puppetservers that are left would carry the load when one server is lost. Pure.
// The judgement is about the busiest half hour of the last day, and speaks before it hurts:
// requests come at random, so they queue up well before every JRuby is always busy.

import { isoTime } from "../host/clock.ts";
import { type Busiest, busiestOf } from "./load.ts";
import { sumPuppetservers } from "./puppetservers.ts";
import type { MemberAnswer } from "./status.ts";
import { warning, type Warning } from "./warning.ts";

/** How busy JRubies may be in the mean before agents wait for each other. */
export const BUSY_MAX = 0.8;

export interface Capacity {
  /** What members have, most first; `up`: the JRubies among theirs that take requests now. */
  members: {
    id: string;
    jrubies: number;
    up: number;
    busy: number;
    queued: number;
    responseMs: number;
  }[];
  /** Those that take requests now: one that is drained comes last, and spares nobody. */
  jrubies: number;
  /** Mean number of requests in work or waiting, of all edges, in this half hour. */
  now: number;
  /** Undefined until half an hour was seen. */
  busiest: Busiest | undefined;
  /** The loss of the member that has the most; undefined: it is the only one. */
  without: { id: string; jrubies: number; carries: boolean; lacking: number } | undefined;
  /** Servers that don't answer: what their edges had isn't known. */
  missing: string[];
}

/** What there is and what it was asked for. */
export function judgeCapacity(answers: readonly MemberAnswer[]): Capacity {
  const rows = answers.flatMap(({ local }) => local?.edge?.backends ?? []);
  const loads = answers.flatMap(({ local }) => local?.edge?.load ?? []);
  const servers = sumPuppetservers(answers);
  const ids = [...new Set(servers.map(({ member }) => member))];
  const members = ids
    .map((id) => {
      const own = servers.filter(({ member }) => member === id);
      const seen = rows.filter(({ member }) => member === id);
      return {
        id,
        jrubies: sum(own.map(({ jrubies }) => jrubies)),
        up: sum(own.filter(({ state }) => state === "up").map(({ jrubies }) => jrubies)),
        busy: sum(own.map(({ busy }) => busy)),
        queued: sum(seen.map(({ queued }) => queued)),
        responseMs: Math.max(0, ...seen.map(({ responseMs }) => responseMs)),
      };
    })
    .toSorted((a, b) => b.up - a.up || a.id.localeCompare(b.id));
  const jrubies = sum(members.map(({ up }) => up));
  const busiest = loads.length === 0 ? undefined : busiestOf(loads);
  const now = sum(loads.map((each) => each.now));
  const missing = answers
    .filter(({ member, local }) => member.role === "server" && local === undefined)
    .map(({ member }) => member.id);
  const [most] = members;
  if (most === undefined || members.length < 2) {
    return { members, jrubies, now, busiest, without: undefined, missing };
  }
  const left = jrubies - most.up;
  const lacking = Math.max(0, Math.ceil((busiest?.load ?? 0) / BUSY_MAX - left));
  const without = { id: most.id, jrubies: left, carries: lacking === 0, lacking };
  return { members, jrubies, now, busiest, without, missing };
}

/**
 * What is to be looked at; empty when what is left carries the load, or nothing is known yet. That
 * nobody is left is said by what is down, and by the failures that are tolerated.
 */
export function capacityWarnings(answers: readonly MemberAnswer[]): Warning[] {
  const { without, busiest } = judgeCapacity(answers);
  if (without === undefined || busiest === undefined || without.carries) return [];
  const { id, jrubies, lacking } = without;
  if (jrubies === 0) return [];
  const at = isoTime(busiest.fromMs).slice(11, 16);
  const text = `Without ${id} the others' ${jrubies} JRubies would be asked for ${busiest.load.toFixed(1)} at once, as from ${at} UTC on: agents would queue up. ${lacking} more would carry it: understudy capacity.`;
  return [warning("capacity-short", undefined, text)];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
