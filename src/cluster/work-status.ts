// Planned work in words: who is drained and how that is undone, where a roll is, what of it is to
// be looked at. Pure.

import { renderDuration } from "../base/duration.ts";
import { renderLocalTime } from "../base/local-time.ts";
import type { DrillMark } from "./drill.ts";
import type { MemberAnswer } from "./status.ts";
import {
  type Drain,
  drainOf,
  drillUnderWay,
  givesAway,
  type Pause,
  PAUSE_SCOPES,
  pausesNow,
  type PauseScope,
  type Roll,
  rollUnderWay,
  type RollStep,
  type Work,
} from "./work.ts";

/** A drain without an end is forgotten, rather than meant, after so long. */
const FORGOTTEN_MS = 7 * 86_400_000;

/** A pause that was made longer again and again is one that nobody ends. */
const OVERDUE_MS = 86_400_000;

/** How each step is told. */
const STEPS: Record<RollStep, string> = {
  drain: "its requests are waited for",
  act: "it restarts",
  return: "it must answer again",
  back: "edges must send it requests again",
};

/** What goes on at the server that a roll is at; empty between two. */
export function tellStep(roll: Roll): string {
  const { does, now } = roll;
  if (now === undefined) return "";
  if (does === "restart") return STEPS[now.step];
  switch (now.step) {
    case "drain":
      return givesAway(roll, now.id)
        ? "its requests are waited for, its addresses move"
        : STEPS.drain;
    case "act":
      return "its packages are upgraded";
    case "return":
      return "all that was well there must be well again";
    case "back":
      return STEPS.back;
  }
}

/** What is so by somebody's wish: nothing to look at. */
export function workNotes(work: Work, members: readonly MemberAnswer[], nowMs: number): string[] {
  const ids = members.map(({ member }) => member.id);
  const drains = work.drains.filter(({ id }) => drainOf(work, id, nowMs) !== undefined);
  const roll = rollUnderWay(work);
  const drill = drillUnderWay(work, nowMs);
  return [
    ...(drill === undefined ? [] : [describeDrill(drill, nowMs)]),
    ...drains.flatMap((drain) => describeDrain(drain, ids, nowMs)),
    ...pausesNow(work, nowMs).map((pause) => describePause(pause, ids, nowMs)),
    ...(roll === undefined ? [] : [describeRoll(roll)]),
  ];
}

/** What of it is to be looked at. */
export function workWarnings(
  work: Work,
  members: readonly MemberAnswer[],
  nowMs: number,
): string[] {
  const drains = work.drains.filter(({ id }) => drainOf(work, id, nowMs) !== undefined);
  return [
    ...drains.flatMap(({ id, at, until }) => {
      const forMs = nowMs - Date.parse(at);
      if (until !== undefined || forMs < FORGOTTEN_MS) return [];
      return [
        `${id} has been drained for ${renderDuration(forMs / 1000)}, without an end: is it forgotten?`,
      ];
    }),
    ...drains.flatMap(({ id, at }) => {
      const { addresses = [] } = members.find(({ member }) => member.id === id)?.local ?? {};
      // keepalived needs a moment.
      if (addresses.length === 0 || nowMs - Date.parse(at) < 15_000) return [];
      return [`${id} is drained, and holds ${addresses.join(", ")}: no other server takes it.`];
    }),
    ...pausesNow(work, nowMs).flatMap(({ scope, id, at }) => {
      const forMs = nowMs - Date.parse(at);
      if (forMs < OVERDUE_MS) return [];
      const since = renderDuration(forMs / 1000);
      return [`${whatIsPaused(scope, id)} paused for ${since} in a row: is it forgotten?`];
    }),
    ...haltedRoll(work.roll),
    ...haltedRoll(work.upgrade),
  ];
}

/** The first label of a name, where it is nobody else's. */
export function shortName(id: string, ids: readonly string[]): string {
  const [label = id] = id.split(".");
  const same = ids.filter((each) => each === label || each.startsWith(`${label}.`));
  return same.length === 1 && same[0] === id ? label : id;
}

function describeDrain({ id, by, reason, until }: Drain, ids: readonly string[], nowMs: number) {
  const end = until === undefined ? "" : ` until ${renderLocalTime(Date.parse(until), nowMs)}`;
  const why = reason === "" ? "" : `: "${reason}"`;
  return `${id} is drained by ${by}${end}${why}${why === "" ? "." : ""} Undo: understudy undrain ${shortName(id, ids)}`;
}

/** What a pause means: what goes on all the same is said with it. */
const PAUSED: Record<PauseScope, string> = {
  addresses: "the daemons move no address; keepalived still takes a dead server's",
  chores: "etcd's voters stay, no certificate of servers is renewed, no puppetserver reloads",
  server: "nothing of Understudy's changes its configuration; revocations go on",
};

function whatIsPaused(scope: string, id: string | undefined): string {
  if (scope === "server") return `${id ?? "?"} is`;
  return scope === "addresses" ? "Moves of addresses are" : `${scope} are`;
}

function describePause(
  { scope, id, by, until, reason }: Pause,
  ids: readonly string[],
  nowMs: number,
) {
  const means = PAUSE_SCOPES.find((each) => each === scope);
  const what = means === undefined ? "" : ` (${PAUSED[means]})`;
  const end = renderLocalTime(Date.parse(until), nowMs);
  const undo = scope === "server" && id !== undefined ? shortName(id, ids) : scope;
  return `${whatIsPaused(scope, id)} paused by ${by} until ${end}: "${reason}"${what}. Undo: understudy resume --scope ${undo}`;
}

function describeRoll(roll: Roll): string {
  const { does, by, ids, done, now, stop } = roll;
  const what = does === "upgrade" ? "servers are upgraded" : "puppetservers restart";
  const where = now === undefined ? "" : `: ${now.id}, ${tellStep(roll)}`;
  const ends = stop ? "; it ends after that one" : "";
  return `${what} one after another for ${by}, ${done.length} of ${ids.length} done${where}${ends}.`;
}

function describeDrill({ kind, server, driver, by, until }: DrillMark, nowMs: number): string {
  const end = renderLocalTime(Date.parse(until), nowMs);
  return `The drill ${kind} at ${server} is under way for ${by}, driven by ${driver}, until ${end} at most. What is broken there is meant. To stop it: understudy drill stop`;
}

function haltedRoll(roll: Roll | undefined): string[] {
  if (roll?.end?.how !== "halted") return [];
  const { does, by, done, ids, now, end } = roll;
  const what = does === "upgrade" ? "The upgrade" : "The restart of puppetservers";
  const at = now === undefined ? "" : ` at ${now.id}`;
  return [
    `${what} for ${by} halted${at}, with ${done.length} of ${ids.length} done: ${end.because}`,
  ];
}
