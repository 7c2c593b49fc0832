// What a cluster still lacks until it is whole, from its own status: what waiting waits for, and
// what a wait that failed has to say.

import type { ClusterStatus, LocalStatus, MemberAnswer } from "../../src/cluster/status.ts";

export interface Whole {
  /** Names of the servers, as in s1.lab.test. */
  servers: readonly string[];
  /** Virtual addresses without prefix. */
  vips: readonly string[];
  /** Whether puppetservers have to be up. Default true. */
  puppetservers?: boolean;
}

/**
 * In words what is missing; empty when every server is in every list.
 */
export function listMissing(status: ClusterStatus, whole: Whole): string[] {
  const missing: string[] = [];
  const voters = whole.servers.length < 3 ? 1 : 3;
  if (!status.etcd.quorum) missing.push("etcd has no quorum");
  if (status.etcd.voters < voters) missing.push(`${status.etcd.voters} of ${voters} voters`);
  if (status.etcd.answering < status.etcd.voters) missing.push("an etcd member doesn't answer");
  for (const name of whole.servers) {
    const answer = status.members.find(({ member }) => member.id === name);
    missing.push(...missingOf(answer, whole).map((text) => `${name}: ${text}`));
  }
  for (const vip of whole.vips) {
    const holders = status.members.filter(({ local }) => local?.addresses.includes(vip) === true);
    if (holders.length !== 1) missing.push(`${vip} is held by ${holders.length} servers`);
  }
  return missing;
}

function missingOf(answer: MemberAnswer | undefined, whole: Whole): string[] {
  if (answer === undefined) return ["is no member"];
  const { local, member } = answer;
  if (local === undefined) return [`doesn't answer (${answer.because})`];
  const missing: string[] = [];
  if (member.phase !== "ready" || local.phase !== "ready") missing.push("is not ready");
  if (!local.record.reachable) missing.push(`can't reach the record (${local.record.because})`);
  if (local.edge?.active !== true) missing.push(`edge is down (${local.edge?.because ?? "none"})`);
  if (local.ca?.serving !== true) missing.push(`CA doesn't serve (${local.ca?.because ?? "none"})`);
  if (whole.puppetservers !== false) missing.push(...missingBackends(local, whole.servers));
  return missing;
}

function missingBackends(local: LocalStatus, servers: readonly string[]): string[] {
  const missing: string[] = [];
  // Every edge must see every puppetserver, not only its own.
  for (const server of servers) {
    const backends = local.edge?.backends.filter(({ member }) => member === server) ?? [];
    const down = backends.find(({ state }) => state !== "up");
    if (backends.length === 0) missing.push(`edge knows no puppetserver of ${server}`);
    if (down !== undefined)
      missing.push(`edge sees the puppetserver of ${server} as ${down.state}`);
  }
  return missing;
}
