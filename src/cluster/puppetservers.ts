// The cluster's puppetservers, put together from what every edge sees of them: agents use the edge
// that holds the address, so no single one knows how busy a puppetserver is. Pure.

import type { BackendStatus, MemberAnswer } from "./status.ts";
import { warning, type Warning } from "./warning.ts";

/** What one edge sees of one puppetserver. */
interface Sight {
  edge: string;
  state: BackendStatus["state"];
  because: string;
}

export interface Puppetserver {
  member: string;
  /** The name that all edges have for it. */
  name: string;
  /** `up` where any edge sees it so: its requests can be served. */
  state: BackendStatus["state"];
  because: string;
  jrubies: number;
  /** Requests that it works on, of all edges. */
  busy: number;
  /** Requests that wait for it, and that it gets per second, of all edges. */
  waiting: number;
  perS: number;
  /** How long it takes to answer where that takes longest, milliseconds; 0: not known. */
  responseMs: number;
  /** Edges that see it in another state. */
  otherwise: Sight[];
}

/** Every puppetserver that an edge which answers knows, by name. */
export function sumPuppetservers(members: readonly MemberAnswer[]): Puppetserver[] {
  const rows = members.flatMap(({ member, local }) =>
    (local?.edge?.backends ?? []).map((row) => ({ ...row, edge: member.id })),
  );
  const names = [...new Set(rows.map(({ name }) => name))].toSorted();
  return names.flatMap((name) => {
    const seen = rows.filter((row) => row.name === name);
    const chosen =
      seen.find(({ state }) => state === "up") ??
      seen.find(({ edge, member }) => edge === member) ??
      seen[0];
    if (chosen === undefined) return [];
    const { member, state, because } = chosen;
    return [
      {
        member,
        name,
        state,
        because,
        jrubies: Math.max(...seen.map(({ jrubies }) => jrubies)),
        busy: sum(seen.map(({ busy }) => busy)),
        waiting: sum(seen.map(({ queued }) => queued)),
        perS: sum(seen.map(({ perS }) => perS)),
        responseMs: Math.max(...seen.map(({ responseMs }) => responseMs)),
        otherwise: seen.filter((row) => row.state !== state),
      },
    ];
  });
}

/** What is to be looked at. Drained ones are named by whoever drained them. */
export function puppetserverWarnings(puppetservers: readonly Puppetserver[]): Warning[] {
  return puppetservers.flatMap((each) => {
    const { member, name, state, because, otherwise } = each;
    const it = `${member}'s puppetserver${name === member ? "" : ` ${name}`}`;
    if (!isWell(state)) {
      return [warning("puppetserver-down", name, `${it} is ${state}: ${because}`)];
    }
    return otherwise
      .filter((sight) => !isWell(sight.state))
      .map(({ edge, state, because }) => {
        const text = `${edge}'s edge sees ${it} as ${state}: ${because}`;
        return warning("puppetserver-seen-down", `${edge} ${name}`, text);
      });
  });
}

function isWell(state: BackendStatus["state"]): boolean {
  return state === "up" || state === "drained";
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
