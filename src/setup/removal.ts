// Taking a member out: what it costs is said first, then every right that its certificates gave is
// taken, and the others are waited for until they know. Pure judgement here; the acts are in the
// daemon.

import { Fault } from "../base/fault.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { quorumOf } from "../etcd/voters.ts";
import type { RemovalPlan } from "./contract.ts";
import type { z } from "zod";

/** What removing `id` means, in words; `refused` says why it can't be done now. */
export function planRemoval(status: ClusterStatus, id: string): z.infer<typeof RemovalPlan> {
  const target = status.members.find(({ member }) => member.id === id);
  if (target === undefined) {
    throw new Fault("member.not-found", `${id} is no member of this cluster`, {
      hints: ["See: understudy member list"],
    });
  }
  const { member, local } = target;
  const self = status.answeredBy === id;
  const others = status.members.filter((each) => each.member.id !== id);
  const servers = others.filter((each) => each.member.role === "server");
  const lines = [
    self
      ? `${id} (${member.role}, ${member.address}), this server, leaves ${status.settings.sharedName}.`
      : `${id} (${member.role}, ${member.address}) is taken out of ${status.settings.sharedName}.`,
  ];
  if (!self && local !== undefined) {
    lines.push(`It answers! To take out a living server, run there instead: understudy leave`);
  }
  if (local === undefined) {
    lines.push(
      "It doesn't answer: what only it had is lost (PuppetDB, files, code that was not elsewhere).",
    );
  }
  lines.push(
    "Its certificates are refused from then on: etcd, control API, puppetservers, CA backends, edges.",
  );
  if (member.role === "server") {
    lines.push(
      "It held the keys of the Puppet CA and of this cluster's three CAs. If it was stolen, whoever has its",
      "  disk can sign certificates: taking it out is not enough then, the CAs must be replaced.",
    );
  }
  return { id, lines, refused: refusal(status, id, servers.length, member.role) };
}

function refusal(status: ClusterStatus, id: string, serversLeft: number, role: string): string {
  if (!status.etcd.quorum)
    return "etcd has no quorum, so nothing can be changed: bring members back first";
  if (role === "server" && serversLeft === 0) {
    return `${id} is the last server: without it there is no cluster. To go back to stock Puppet Server: apt-get purge understudy`;
  }
  const votes = status.members.some(
    ({ member, local }) => member.id === id && local !== undefined && local.etcd.runs !== "no",
  );
  const { voters, answering } = status.etcd;
  const answeringAfter = answering - (votes ? 1 : 0);
  if (voters > 1 && answeringAfter < quorumOf(voters - 1)) {
    return `without ${id} only ${answeringAfter} of ${voters - 1} etcd members would answer: bring one back first`;
  }
  return "";
}
