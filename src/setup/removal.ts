// Taking a member out: what it costs is said first, then every right that its certificates gave is
// taken, and the others are waited for until they know. Pure judgement here; the acts are in the
// daemon.

import { Fault } from "../base/fault.ts";
import type { Role } from "../cluster/schema.ts";
import { findMember } from "../cluster/find-member.ts";
import { ejectedIn } from "../cluster/ejection-status.ts";
import { type ClusterStatus, isVoting, type MemberAnswer } from "../cluster/status.ts";
import { quorumOf } from "../etcd/voters.ts";
import type { RemovalPlan } from "./contract.ts";
import type { z } from "zod";

/**
 * What removing the member `name` means, in words; `refused` says why it can't be done now. A
 * member that asks for it `itself` leaves in order, with the others' help.
 */
export function planRemoval(
  status: ClusterStatus,
  name: string,
  by: "itself" | "another" = "another",
): z.infer<typeof RemovalPlan> {
  const ids = status.members.map(({ member }) => member.id);
  const id = findMember(ids, name);
  const target = status.members.find(({ member }) => member.id === id);
  if (target === undefined) throw new Fault("member.not-found", `${id} is no member any more`);
  const { member, local } = target;
  const place = `${id} (${member.role}, ${member.address})`;
  const { sharedName, virtualIps } = status.settings;
  const lines = [
    by === "itself"
      ? `${place}, this server, leaves ${sharedName}.`
      : `${place} is taken out of ${sharedName}.`,
  ];
  if (by === "another" && local !== undefined) {
    lines.push(`It answers! To take out a living server, run there instead: understudy leave`);
  }
  if (by === "itself" && member.role === "server" && virtualIps.length === 0) {
    lines.push(
      "There is no virtual IP that goes to another server: take this one out of DNS, or of the balancer, first.",
    );
  }
  if (local === undefined) {
    lines.push(
      "It doesn't answer: what only it had is lost (PuppetDB, files, code that was not elsewhere).",
    );
  }
  if (hasOnlyPuppetdb(status, id)) {
    lines.push(
      "Its PuppetDB is the only one that answers queries: catalogs that collect resources fail without it.",
      "  Let another one answer first, on its server: understudy puppetdb accept",
    );
  }
  lines.push(
    "Its certificates are refused from then on: etcd, control API, puppetservers, CA backends, edges.",
    ...stolenLines(member.role),
  );
  const ejected = ejectedIn(status.members);
  if (ejected !== undefined) lines.push(...ejectedLines(id, ejected.to));
  const itself = status.answeredBy === id && by === "another";
  const refused = itself
    ? `${id} is this server itself: to take it out in order, run understudy leave`
    : refusal(status, target);
  return { id, lines, refused };
}

/** Whether couriers of others are left without a PuppetDB that answers queries. */
function hasOnlyPuppetdb({ members }: ClusterStatus, id: string): boolean {
  const answering = members.filter(({ member }) => member.puppetdb === "answers");
  const others = members.some(({ member }) => member.id !== id && member.courier === true);
  return others && answering.length === 1 && answering[0]?.member.id === id;
}

/** What whoever has the member's disk could do, and can go on doing. */
function stolenLines(role: Role): string[] {
  if (role === "server") {
    return [
      "It held the keys of the Puppet CA and of this cluster's three CAs. If it was stolen, whoever has its",
      "  disk can sign certificates: taking it out is not enough then, the CAs must be replaced.",
    ];
  }
  return [
    "It held a key to etcd, which opens the whole record until now. If it was stolen, whoever has its disk",
    "  may have changed anything there: look at members, tokens and certificates, or replace the CAs.",
  ];
}

/** What becomes of its Puppet certificate, or of the CA, when that isn't the cluster's any more. */
function ejectedLines(id: string, to: string): string[] {
  if (id === to) {
    return [
      "IT HAS THE CA: after this, on another server, understudy eject --alone (/usr/share/doc/understudy/eject.md).",
    ];
  }
  const revoke = `puppetserver ca revoke --certname ${id}`;
  return [
    `Its Puppet certificate stays in force until stock's CA, on ${to}, revokes it: ${revoke}`,
  ];
}

function refusal(status: ClusterStatus, { member, local }: MemberAnswer): string {
  const { id, role, phase } = member;
  if (local !== undefined && ejectedIn(status.members)?.to === id) {
    return `${id} has the CA, which the other servers send agents to: take them out first, then here apt-get purge understudy`;
  }
  if (!status.etcd.quorum)
    return "etcd has no quorum, so nothing can be changed: bring members back first";
  const others = status.members.filter((each) => each.member.id !== id);
  const servers = others.filter((each) => each.member.role === "server");
  if (role === "server" && servers.length === 0) {
    return `${id} is the last server: without it there is no cluster. To go back to stock Puppet Server: apt-get purge understudy`;
  }
  if (role === "server" && phase !== "leaving" && !servers.some(staysIn)) {
    const names = servers.map((each) => each.member.id).join(", ");
    return `${names} began to leave, and without ${id} no server would stay: finish that first, or type understudy leave there, which puts it back where it is refused`;
  }
  const { voters, answering } = status.etcd;
  const votes = isVoting(local);
  if (voters === 1) {
    const heir = servers.some(
      (each) => each.local !== undefined && each.member.mayVote && staysIn(each),
    );
    if (!votes || heir) return "";
    return `${id} has the only vote in etcd, and no other server answers that could take it over: bring one back first`;
  }
  const answeringAfter = answering - (votes ? 1 : 0);
  if (answeringAfter >= quorumOf(voters - 1)) return "";
  return `without ${id} only ${answeringAfter} of ${voters - 1} etcd members would answer: bring one back first`;
}

function staysIn({ member }: MemberAnswer): boolean {
  return member.phase !== "leaving";
}
