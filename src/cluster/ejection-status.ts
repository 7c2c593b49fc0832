// The end of the cluster's CA in the status: where it went, and what of that is to be looked at.
// Pure.

import type { Ejected } from "./schema.ts";
import type { LocalStatus, MemberAnswer } from "./status.ts";
import { warning, type Warning } from "./warning.ts";

/** Where the CA went, as the first member tells that knows it. */
export function ejectedIn(members: readonly MemberAnswer[]): Ejected | undefined {
  return members.flatMap(({ local }) => local?.ca?.ejected ?? [])[0];
}

/** What is open after an ejection, or went wrong. */
export function ejectionWarnings({ id, ca, edge }: LocalStatus): Warning[] {
  const ejected = ca?.ejected;
  if (ejected === undefined) return [];
  const { to, handedOver } = ejected;
  if (to !== id && handedOver) {
    const text = `${id} handed its CA to its own stock Puppet Server, and the record names ${to}: two CAs sign. Switch one off (/usr/share/doc/understudy/eject.md).`;
    return [warning("ca-two", id, text)];
  }
  if (to === id && !handedOver) {
    const text = `The CA was ejected to ${id}, and nobody signs yet: there, once more, understudy eject`;
    return [warning("ca-ejection-open", id, text)];
  }
  if (edge?.active !== true || edge.stockCa?.up === true) return [];
  const again = to === id ? " If eject was interrupted there: understudy eject" : "";
  const text = `${id}'s edge gets no answer from the CA of ${to}: is its puppetserver up?${again}`;
  return [warning("ca-stock-silent", id, text)];
}
