// Whether the CA may be ejected to a server, what that means, and how far the others have followed.
// Pure judgement; the acts are in the daemon and in eject.ts.

import { Fault } from "../base/fault.ts";
import { usesInfraCrl } from "../ca/settings.ts";
import { ejectedIn } from "../cluster/ejection-status.ts";
import { type ClusterStatus, type MemberAnswer } from "../cluster/status.ts";
import type { EjectPlan } from "./contract.ts";

/**
 * What `understudy eject` on the server that answered `status` does, in words; `refused` says why
 * it can't. `alone`: without the other servers.
 */
export function planEject(status: ClusterStatus, alone: boolean): EjectPlan {
  const { answeredBy: id, members } = status;
  const own = members.find(({ member }) => member.id === id);
  const ejected = own?.local?.ca?.ejected ?? ejectedIn(members);
  if (ejected === undefined) {
    const lines = describe(status, own, alone);
    return { id, state: "ours", lines, refused: refusal(status, own, alone) };
  }
  const { to } = ejected;
  if (to === id) {
    const state = own?.local?.ca?.ejected?.handedOver === true ? "handed-over" : "ended";
    const lines = state === "ended" ? describe(status, own, alone) : [];
    return { id, state, to, lines, refused: "" };
  }
  const loss = lossOf(status, to);
  if (alone && loss === "lost") {
    const lines = [...describe(status, own, !status.etcd.quorum), ...lossLines(to)];
    return { id, state: "ours", to, lines, refused: notFit(own) };
  }
  const refused = `the CA was ejected to ${to} at ${ejected.at}${LOSS[loss].replaceAll("ID", to)}`;
  return { id, state: "elsewhere", to, lines: [], refused };
}

/**
 * Throws Fault `eject.infra-crl` where this ca.conf has stock's CA give agents a CRL of revoked
 * servers only: edges get the same one, and would let revoked agents in. `ca.conf` where it can't
 * be read.
 */
export function requireWholeCrl(caConf: string | undefined): void {
  if (caConf === undefined || !usesInfraCrl(caConf)) return;
  throw new Fault("eject.infra-crl", "stock's CA would give out a CRL of revoked servers only", {
    hints: [
      "The edges read what agents get, and would let revoked agents in. Nothing was changed.",
      'Set enable-infra-crl to false in ca.conf, leave it so, and type "understudy eject" again.',
    ],
  });
}

/** What is left of the server that has the CA: it answers, doesn't, or counts as lost. */
type Loss = "answers" | "silent" | "lost";

const LOSS: Record<Loss, string> = {
  answers: ": there is one CA, and it is there",
  silent:
    ", which doesn't answer. Where it is lost for good: understudy member remove ID, then the same command with --alone",
  lost: ". Where it is lost for good: the same command with --alone",
};

function lossOf({ members, etcd }: ClusterStatus, to: string): Loss {
  const there = members.find(({ member }) => member.id === to);
  if (there?.local !== undefined) return "answers";
  // Where it could be taken out, that comes first: it stands down then, should it come back.
  return there !== undefined && etcd.quorum ? "silent" : "lost";
}

function lossLines(to: string): string[] {
  return [
    `${to} HAD THE CA: what it signed is in no list then, what it revoked since this server last read its CRL neither.`,
    `  Serials and the CRL number jump by 2^20. ${to} must never come back with its CA: two of one name would give the`,
    "  same serials.",
  ];
}

/** Why this server can't have the CA at all; empty when it can. */
function notFit(own: MemberAnswer | undefined): string {
  if (own?.member.role !== "server" || own.local?.ca === undefined) {
    return "this member holds no certificate authority: run it on a server (understudy member list)";
  }
  if (own.member.phase !== "ready" || own.local.phase !== "ready") {
    return `${own.member.id} is no full member now (${own.member.phase}): finish that first`;
  }
  return "";
}

function refusal(status: ClusterStatus, own: MemberAnswer | undefined, alone: boolean): string {
  const { members, etcd } = status;
  const unfit = notFit(own);
  if (unfit !== "") return unfit;
  if (alone && etcd.quorum) {
    return "etcd has its quorum, so every server can be told: the same command without --alone";
  }
  if (alone) return "";
  if (!etcd.quorum) {
    return "etcd has no quorum, so the other servers can't be told: bring members back first. Only where they are lost for good: --alone";
  }
  const version = own?.local?.version ?? "";
  const others = members.filter(({ member }) => member.version !== version);
  if (others.length === 0) return "";
  const names = others.map(({ member }) => `${member.id} (${member.version})`).join(", ");
  return `another version may sign on, whatever the record says: bring ${names} to ${version} first, or take it out (understudy member remove)`;
}

function describe(
  { members, settings }: ClusterStatus,
  own: MemberAnswer | undefined,
  alone: boolean,
): string[] {
  const id = own?.member.id ?? "this server";
  const others = members.filter(({ member }) => member.role === "server" && member.id !== id);
  const names = others.map(({ member }) => member.id).join(", ");
  const { certificates = 0, requests = 0, crlNumber = 0 } = own?.local?.ca ?? {};
  const lines = [
    `The CA of ${settings.sharedName} becomes stock Puppet Server's on ${id}: ${certificates} signed, ${requests} waiting, CRL ${crlNumber}.`,
    `puppetserver on ${id} restarts for it, which takes half a minute and more${others.length > 0 ? "; the others compile meanwhile" : "; agents wait meanwhile"}.`,
  ];
  if (others.length > 0 && !alone) {
    lines.push(`${names}: no longer a CA; what agents ask of one is passed on to ${id}.`);
  }
  lines.push(
    `While ${id} is down, nothing is signed or revoked. No server can join any more.`,
    "From then on: puppetserver ca list|sign|revoke|clean, on any server. There is no way back but a new init.",
  );
  return alone ? [...lines, ...aloneLines(id, others)] : lines;
}

function aloneLines(id: string, others: MemberAnswer[]): string[] {
  const lines = [
    "ALONE: the record can't be asked, so no other server hears of it. Serials and the CRL number jump by 2^20,",
    "  above all that the others can have given. What they signed or revoked that this server doesn't know, stock's",
    "  CA won't know either.",
  ];
  for (const { member, local } of others) {
    const now = local === undefined ? "it doesn't answer" : "IT ANSWERS";
    lines.push(
      `  ${member.id} (${now}) must not sign any more. Lost for good: leave it off. Else, when it is back with etcd's quorum,`,
      `    it hears of ${id}'s CA within seconds and stops by itself; look with understudy status.`,
    );
  }
  return lines;
}

/** Servers that don't send CA requests to `to` yet, or whose CA there doesn't answer them. */
export function notFollowing({ members }: ClusterStatus, to: string): string[] {
  return members
    .filter(({ member, local }) => {
      if (member.role !== "server") return false;
      const stock = local?.edge?.stockCa;
      return stock?.of !== to || !stock.up;
    })
    .map(({ member }) => member.id);
}
