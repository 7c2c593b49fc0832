// What restarting puppetservers one after another means, said before it begins, and what it comes
// to in words. Pure.

import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { tellStep } from "../cluster/work-status.ts";
import { packagedOf } from "../cluster/backends.ts";
import { findMember } from "../cluster/find-member.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { drillInTheWay, isPaused, type Roll } from "../cluster/work.ts";
import { capacityWithout, countOf } from "./drain-plan.ts";
import { PARTS } from "../upgrade/parts.ts";
import type { RollPlan, UpgradeMeant } from "./work-contract.ts";

/**
 * The members that are meant, in order. Throws Fault `roll.refused` for one without a puppetserver,
 * and where nothing was left of the last roll.
 */
export function rollIds(
  { members, work }: ClusterStatus,
  { names, rest }: { names: readonly string[]; rest: boolean },
): string[] {
  const able = members
    .filter(({ member }) => member.phase !== "leaving" && member.backends.length > 0)
    .filter(({ member }) => packagedOf(member) !== undefined)
    .map(({ member }) => member.id)
    .toSorted();
  if (rest) {
    const { ids = [], done = [], end } = work.roll ?? {};
    const left = ids.filter((id) => able.includes(id) && !done.some((each) => each.id === id));
    if (end !== undefined && left.length > 0) return left;
    throw new Fault("roll.refused", "the last restart left nothing, or is an hour ago and more");
  }
  const all = members.map(({ member }) => member.id);
  const meant = names.map((name) => findMember(all, name));
  for (const id of meant) {
    if (able.includes(id)) continue;
    throw new Fault(
      "roll.refused",
      `${id} has no packaged puppetserver that edges know, or is leaving`,
    );
  }
  return names.length === 0 ? able : [...new Set(meant)];
}

/** Throws Fault `roll.refused` where the restart under way leaves out some of `wanted`. */
export function requireRestarted({ ids, by }: Roll, wanted: readonly string[]): void {
  const left = wanted.filter((id) => !ids.includes(id));
  if (left.length === 0) return;
  const what = `puppetservers of ${ids.join(", ")} restart in turn now, for ${by}`;
  throw elsewhere(`${what}, and that leaves out ${left.join(", ")}`);
}

/** Throws Fault `roll.refused` where the upgrade under way leaves out some of what is meant. */
export function requireUpgraded({ ids, by, upgrade }: Roll, { parts, names }: UpgradeMeant): void {
  const wanted = parts.length === 0 ? PARTS : parts;
  const isThere = (name: string) => ids.some((id) => id === name || id.startsWith(`${name}.`));
  const left: string[] = [
    ...wanted.filter((part) => upgrade?.parts.includes(part) !== true),
    ...names.filter((name) => !isThere(name)),
    ...(names.length === 0 && upgrade?.everyone === false ? ["every other server"] : []),
  ];
  if (left.length === 0) return;
  const what = `${upgrade?.parts.join(", ")} of ${ids.join(", ")} are upgraded in turn now, for ${by}`;
  throw elsewhere(`${what}, and that leaves out ${left.join(", ")}`);
}

function elsewhere(because: string): Fault {
  return new Fault("roll.refused", because, {
    hints: ["Wait for its end, then say it again: understudy status"],
  });
}

/** What restarting those of `ids` means. */
export function planRestarts(
  status: ClusterStatus,
  ids: readonly string[],
  nowMs: number,
): RollPlan {
  const paused = ids.find((id) => isPaused(status.work, id, nowMs));
  if (paused !== undefined) {
    throw new Fault("roll.refused", `${paused} is paused`, { hints: ["understudy resume"] });
  }
  const drill = drillInTheWay(status.work, nowMs);
  if (drill !== "") throw new Fault("roll.refused", drill);
  const without = ids.map((id) => ({ id, ...capacityWithout(status, id, nowMs) }));
  const steps = without.map(({ id, left, now }) => ({ id, left, now }));
  const { busy = 0, waiting = 0 } = without[0] ?? {};
  const silent = ids.filter(
    (id) => status.members.find(({ member }) => member.id === id)?.local === undefined,
  );
  const alone = steps.find(({ left }) => left === 0);
  const refused =
    silent.length > 0
      ? `${silent.join(", ")} can't be asked to restart anything: no answer`
      : alone === undefined
        ? ""
        : `while ${alone.id}'s restarts no other puppetserver gets requests: they wait at the edges`;
  const least = steps.toSorted((a, b) => a.left - b.left)[0];
  const more = least === undefined ? 0 : busy + waiting - least.left;
  const risks = [
    ...(more <= 0 || least === undefined
      ? []
      : [`${more} of the requests that run now would wait while ${least.id}'s restarts`]),
    ...(steps.some(({ left, now }) => left * 2 < now && left > 0)
      ? ["less than half of the JRubies is left for a while: runs take longer, requests may wait"]
      : []),
    ...secondOnes(status, ids),
  ];
  return { ids: [...ids], refused, steps, busy, waiting, risks };
}

function secondOnes({ members }: ClusterStatus, ids: readonly string[]): string[] {
  return members
    .filter(({ member }) => ids.includes(member.id) && member.backends.length > 1)
    .map(
      ({ member }) =>
        `${member.id} has ${member.backends.length} puppetservers: only the packaged one is restarted, all get nothing new meanwhile`,
    );
}

/** The plan as text for people. */
export function renderRollPlan({ steps, busy, waiting, risks, refused }: RollPlan): string {
  const rows = steps.map(({ id, left, now }, index) => [
    String(index + 1),
    id,
    `${left} of ${now}`,
  ]);
  return [
    renderTable(["", "RESTARTS", "JRUBIES LEFT MEANWHILE"], rows),
    "",
    "Each: edges give it nothing new, its last request is waited for (10 minutes at most), it restarts, answers, is",
    "warmed up, gets requests again; then the next one. It halts at the first that doesn't come back.",
    `${countOf(busy, "request")} run now, ${waiting} wait.`,
    ...(risks.length === 0 ? [] : ["At risk:", ...risks.map((risk) => ` - ${risk}`)]),
    ...(refused === "" ? [] : [`Refused without --force: ${refused}.`]),
  ].join("\n");
}

/** What is new in `after`, a line each, for whoever watches. */
export function tellRoll(before: Roll | undefined, after: Roll): string[] {
  const news = after.done.slice(before?.key === after.key ? before.done.length : 0);
  const lines = news.map(({ id, note }) => ` ✓ ${id}${note === "" ? "" : `: ${note}`}`);
  const { now, end } = after;
  const isNew = now?.id !== before?.now?.id || now?.step !== before?.now?.step;
  if (now !== undefined && isNew && end === undefined) {
    lines.push(`   … ${now.id}: ${tellStep(after)}`);
  }
  return lines;
}

/** How it ended, and what is so now. */
export function describeEnd(roll: Roll): string[] {
  const { does, ids, done, now, end } = roll;
  if (end === undefined) return [];
  const isUpgrade = does === "upgrade";
  const left = ids.filter((id) => !done.some((each) => each.id === id));
  if (end.how === "done") {
    const what = isUpgrade ? countOf(done.length, "server") : countOf(done.length, "puppetserver");
    const names = done.map(({ id }) => id).join(", ");
    return [`${what} ${isUpgrade ? "upgraded" : "restarted"}: ${names}`];
  }
  return [
    end.how === "halted"
      ? `It halted${now === undefined ? "" : ` at ${now.id}`}: ${end.because}`
      : `It was stopped ${end.because}.`,
    `Done: ${done.map(({ id }) => id).join(", ") || "none"}. Not done: ${left.join(", ")}.`,
    "No server is kept from requests by it any more: edges use each one that answers.",
    ...(isUpgrade
      ? [
          "To go on: understudy upgrade again. It leaves out what is upgraded already.",
          ...back(roll),
        ]
      : ["To take the rest: understudy restart puppetserver --rest"]),
  ];
}

/** How the server where an upgrade halted gets its former packages back. */
function back({ now, upgrade }: Roll): string[] {
  const packages = upgrade?.servers.find(({ id }) => id === now?.id)?.packages ?? [];
  if (now === undefined || now.step === "drain" || packages.length === 0) return [];
  const former = packages.map(({ name, from }) => `${name}=${from}`).join(" ");
  return [
    `Or back, on ${now.id}, while its archive has them: apt-get install --allow-downgrades ${former}`,
  ];
}
