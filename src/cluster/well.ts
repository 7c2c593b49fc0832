// What is well at one member, named so that two looks can be compared: what was before an upgrade
// must be so after it. Pure.

import { isVoting, type MemberAnswer } from "./status.ts";

/** Of one that edges can send requests to; judged by asking it for work, not by its status alone. */
export const PUPPETSERVER = "puppetserver";

/**
 * The parts of `answer` that are as they should be; none while its daemon doesn't answer. `fit`:
 * members whose PuppetDB may answer queries. `serves`: whether its puppetserver answers.
 */
export function wellParts(
  { member, local }: MemberAnswer,
  { fit, serves }: { fit: ReadonlySet<string>; serves: boolean },
): string[] {
  if (local === undefined) return [];
  return [
    ...(local.phase === "ready" ? ["daemon"] : []),
    ...(local.record.reachable ? ["record"] : []),
    ...(isVoting(local) ? ["etcd"] : []),
    ...(local.edge?.active === true ? ["edge"] : []),
    ...(local.ca?.serving === true ? ["ca"] : []),
    ...(local.courier?.runs === true ? ["courier"] : []),
    ...(fit.has(member.id) ? ["puppetdb"] : []),
    ...(serves ? [PUPPETSERVER] : []),
  ];
}
