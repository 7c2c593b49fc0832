// Whether the cluster is as well as it was before a drill. Pure.

import type { ClusterStatus } from "../cluster/status.ts";
import { textsOf, type Warning } from "../cluster/warning.ts";

/** What is still worse than before, in words; empty: the drill left nothing. */
export function stillWorse(before: ClusterStatus, now: ClusterStatus): string[] {
  const known = new Set(before.problems.map(keyOf));
  const lost = now.toleratedFailures < before.toleratedFailures;
  const news = textsOf(now.problems.filter((problem) => !known.has(keyOf(problem))));
  const silent = now.members
    .filter(({ local }) => local === undefined)
    .filter(({ member }) => before.members.some((m) => m.member.id === member.id && m.local))
    .map(({ member }) => `${member.id} doesn't answer`);
  const worse = [
    ...(lost
      ? [`${now.toleratedFailures} failures are tolerated, not ${before.toleratedFailures}`]
      : []),
    ...silent,
    ...news,
  ];
  return [...new Set(worse)];
}

/** What a server that gave its addresses away for a drill hasn't got again. */
export function notBack(before: ClusterStatus, now: ClusterStatus, server: string): string[] {
  const heldIn = ({ members }: ClusterStatus) =>
    members.find(({ member }) => member.id === server)?.local?.addresses ?? [];
  const here = new Set(heldIn(now));
  return heldIn(before)
    .filter((address) => !here.has(address))
    .map((address) => `${address} isn't back at ${server}`);
}

/** A warning without its numbers, how long or how many may differ, but with what it is of. */
function keyOf({ kind, subject = "", text }: Warning): string {
  return [kind, subject, text.replaceAll(/\d+/g, "#")].join(" ");
}

/** What of the cluster a drill watches, by name; each is asked again and again. */
export function watchedStates({ members, etcd }: ClusterStatus): Map<string, string> {
  const states = new Map<string, string>();
  states.set("etcd", etcd.quorum ? "etcd has a quorum" : "etcd has no quorum");
  for (const { member, local } of members) {
    const { id } = member;
    states.set(`${id} answers`, local === undefined ? `${id} is silent` : `${id} answers`);
    if (local === undefined) continue;
    const held = local.addresses.toSorted().join(", ");
    states.set(`${id} holds`, held === "" ? `${id} holds no address` : `${id} holds ${held}`);
    states.set(`${id} votes`, `${id}'s etcd: ${local.etcd.runs}`);
    const { edge, courier } = local;
    if (edge !== undefined) {
      states.set(`${id} edge`, `${id}'s edge is ${edge.active ? "up" : "down"}`);
    }
    for (const { name, state } of edge?.backends ?? []) {
      states.set(`${id} ${name}`, `${id}'s edge sees ${name}'s puppetserver as ${state}`);
    }
    for (const { id: database, fit } of courier?.puppetdbs ?? []) {
      const is = fit ? "fit" : "not fit";
      states.set(`${id} puppetdb ${database}`, `${id} finds PuppetDB of ${database} ${is}`);
    }
  }
  return states;
}

/** What differs between two looks, in words. What is silent says nothing of its parts. */
export function changedStates(
  before: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): string[] {
  return [...now].flatMap(([name, state]) =>
    before.has(name) && before.get(name) !== state ? [state] : [],
  );
}
