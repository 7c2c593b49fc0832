// What is to be looked at of edges: revocations that aren't confirmed, catalogs that end
// puppetservers. Pure.

import type { MemberAnswer } from "./status.ts";
import { warning, type Warning } from "./warning.ts";

/** Edges that may still let a revoked certificate in. */
export function revocationWarnings(servers: readonly MemberAnswer[]): Warning[] {
  const newest = Math.max(0, ...servers.map(({ local }) => local?.ca?.crlNumber ?? 0));
  return servers.flatMap(({ member, local }) => {
    const confirmed = local?.edge?.confirmedCrl;
    if (confirmed === undefined || confirmed >= newest) return [];
    const upTo = `up to CRL ${confirmed}, not ${newest} yet`;
    const text = `${member.id}'s edge has confirmed revocations ${upTo}.`;
    return [warning("edge-behind", member.id, text)];
  });
}

/** Nodes whose catalogs took puppetservers down. */
export function poisonWarnings(servers: readonly MemberAnswer[]): Warning[] {
  const found = servers.flatMap(({ local }) => local?.edge?.poisonous ?? []);
  // Each edge has its own list; the newest entry of a node comes last.
  const sorted = found.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const latest = new Map(sorted.map((each) => [each.certname, each]));
  return [...latest.values()].map(({ certname, at, servers }) => {
    const whom = servers.length === 0 ? "its puppetservers" : servers.join(" and ");
    const text = `The catalog of ${certname} took ${whom} down (last ${at}): it isn't replayed for an hour. Look at what it compiles.`;
    return warning("catalog-poisonous", certname, text);
  });
}
