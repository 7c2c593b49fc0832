// Taking a member out: its vote, its certificates, its record, in this order, each step safe to
// repeat. What could refuse the whole comes before the first step; a removal that ends before a
// certificate is revoked puts the member back, one that ends later is finished by repeating it. The
// pure judgement is setup/removal.ts.

import type { z } from "zod";
import { type Refuses, RefusesAnswer } from "../api/member-app.ts";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { startStages } from "../base/stages.ts";
import { pause, until } from "../base/retry.ts";
import type { Log } from "../base/log.ts";
import type { Copies, EdgeReport } from "../ca/outcome.ts";
import { readAuthorityCrl, revokeLeaves } from "../cluster/leaves.ts";
import {
  deleteMember,
  type KnownMember,
  markLeaving,
  putBack,
  readMember,
  readMembers,
} from "../cluster/members.ts";
import type { Peers } from "../cluster/peer.ts";
import { AUTHORITIES, type AuthorityName, type ClusterAuthority } from "../cluster/pki.ts";
import type { Member, NodeFile } from "../cluster/schema.ts";
import { type ClusterStatus, planningOf } from "../cluster/status.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { RemovalDone, type RemovalPlan } from "../setup/contract.ts";
import { planRemoval } from "../setup/removal.ts";
import type { Note } from "./history.ts";
import type { Refusals } from "./pki-loop.ts";

/** How long a removal waits for the members to refuse the removed one's certificates. */
const TELL_MS = 20_000;
/** How long a living voter's vote may take to go over to another: a learner copies everything. */
const VOTE_MS = 90_000;
const LEAVE_MS = 240_000;
const ASK_MS = 3000;
const ASK_AGAIN_MS = 300;

export interface RemovalDeps {
  node: NodeFile;
  etcd: Etcd;
  peers: Peers;
  refusals: Refusals;
  log: Log;
  /** The CAs whose certificates a member has. Throws Fault `pki.no-authorities` on a compiler. */
  authorities(): Promise<Record<AuthorityName, ClusterAuthority>>;
  /** Throws Fault `ca.…`, `cluster.…` when this server could not revoke a certificate now. */
  requireSigner(): Promise<void>;
  /** Revokes a removed member's Puppet certificate; which edges refuse it by now. */
  revokePuppet(id: string): Promise<EdgeReport>;
  confirmCopies(revision: number): Promise<Copies>;
  status(): Promise<ClusterStatus>;
  /** The record has changed: look now. */
  wake(): void;
  /** Tells the history. */
  note(note: Note): void;
  /** The serial of this member's own control certificate, as the record writes it. */
  ownSerial(): Promise<string>;
  /** Where a member's etcd is, if it runs one. */
  etcdOf(member: Member): { peerUrl: string; clientUrl: string };
  /** How long a vote may take to go over, milliseconds. */
  voteMs?: number;
}

type Removed = z.infer<typeof RemovalDone>;

/** Takes the member `name` out, and waits until every other one refuses its certificates. */
export async function removeMember(deps: RemovalDeps, name: string): Promise<Removed> {
  const { etcd, log } = deps;
  const authorities = await deps.authorities();
  await deps.requireSigner();
  const plan = planRemoval(await deps.status(), name);
  if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
  const { id } = plan;
  await markLeaving(etcd, id);
  const was = await readMember(etcd, id);
  if (was === undefined) throw new Fault("member.not-found", `${id} is no member any more`);
  deps.wake();
  const stages = startStages(monotonicMs);
  const lines = await takeVote(deps, was);
  stages.end("its vote is taken over");
  const serials: string[] = [];
  for (const name of AUTHORITIES) {
    serials.push(...(await revokeLeaves(etcd, authorities[name], id, wallMs())));
  }
  const edges = await deps.revokePuppet(id);
  const revision = await deleteMember(etcd, was);
  deps.wake();
  stages.end("its certificates are revoked");
  const others = (await readMembers(etcd)).filter((member) => member.id !== id);
  const silent = await untilRefused(deps, others, serials);
  const open = edges.missing.filter(({ member }) => member !== id);
  const unconfirmed = [...new Set([...silent, ...open.map(({ member }) => member)])];
  const confirmed = others.length - unconfirmed.length;
  lines.push(`its certificates are refused by ${confirmed} of ${others.length} members`);
  for (const name of silent)
    lines.push(`  ${name} has not confirmed yet; it refuses them as soon as it can`);
  for (const { member, because } of open)
    lines.push(`  ${member}'s edge has not confirmed for its Puppet certificate: ${because}`);
  lines.push(`${id} is removed`);
  stages.end("members refuse them");
  log.notice(`member ${id} removed`);
  const { copies } = await deps.confirmCopies(revision);
  stages.end("the change is copied");
  deps.note({ kind: "member", what: `${id} is removed`, stages: stages.list() });
  return { id, lines, unconfirmed, copies };
}

/**
 * Sees to it that `was` votes in etcd no more. A silent voter is taken out at once; a living one
 * leaves when its replacement votes, which the loop on the leader sees to. Puts the member back and
 * throws Fault `member.remove-refused` when that doesn't come about.
 */
async function takeVote(deps: RemovalDeps, was: KnownMember): Promise<string[]> {
  const { id } = was.member;
  const { etcd } = deps;
  const { peerUrl, clientUrl } = deps.etcdOf(was.member);
  const listed = async () =>
    (await etcd.members.list()).find((each) => each.peerUrls.includes(peerUrl));
  try {
    const seat = await listed();
    if (seat === undefined) return [];
    if (seat.learner || !(await answers(etcd, clientUrl))) await etcd.members.remove(seat.id);
    // Elections come with it, so that etcd doesn't answer for a moment is no reason to give up.
    const gone = async () => (await listed().catch(() => seat)) === undefined;
    const withinMs = deps.voteMs ?? VOTE_MS;
    await until(`${id} votes no more`, gone, { withinMs, everyMs: ASK_AGAIN_MS });
    return [`${id} is no member of etcd any more`];
  } catch (error) {
    await putBack(etcd, id).catch((failure: unknown) => {
      deps.log.warn(`${id} stays marked as leaving: ${messageOf(failure)}`);
    });
    deps.wake();
    if (!isFault(error, "base.deadline")) throw error;
    const why = planningOf(await deps.status());
    throw new Fault(
      "member.remove-refused",
      `${id} still votes in etcd, and no other server has taken its vote over: it stays a member`,
      { hints: [...why, "See: understudy status"], cause: error },
    );
  }
}

async function answers(etcd: Etcd, clientUrl: string): Promise<boolean> {
  const status = etcd.status(clientUrl, { withinMs: ASK_MS });
  return status.then(
    ({ leaderId }) => leaderId !== "0",
    () => false,
  );
}

/**
 * What leaving would mean for this member. Where it is refused now, one that had begun to leave is
 * put back: it would get no requests and no certificates, with nobody to take it out.
 */
export async function planLeaving(deps: RemovalDeps): Promise<z.infer<typeof RemovalPlan>> {
  const { etcd, log, node } = deps;
  const status = await deps.status();
  const plan = planRemoval(status, node.id, "itself");
  const began = status.members.some(({ member }) => {
    return member.id === node.id && member.phase === "leaving";
  });
  if (plan.refused === "" || !began || !status.etcd.quorum) return plan;
  const stay = async () => {
    if (!(await mayBeRevoked(deps))) await putBack(etcd, node.id);
  };
  await stay().catch((error: unknown) => {
    log.warn(`${node.id} may be marked as leaving: ${messageOf(error)}`);
  });
  deps.wake();
  return plan;
}

/** Says in the record that this member is on its way out: it gives up addresses, others its work. */
export async function startLeaving(deps: RemovalDeps): Promise<void> {
  const plan = planRemoval(await deps.status(), deps.node.id, "itself");
  if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
  await markLeaving(deps.etcd, deps.node.id);
  deps.wake();
}

/**
 * Asks another server to take this one out. Where none can, this one stays a member, unless its
 * certificates are revoked by now: it could never again be one.
 */
export async function askToLeave(deps: RemovalDeps): Promise<Removed> {
  const others = (await readMembers(deps.etcd)).filter(
    (each) => each.id !== deps.node.id && each.role === "server",
  );
  let because = "there is no other server";
  for (const other of others) {
    try {
      return await deps.peers.call(other.address, "/v1/remove-me", {
        body: {},
        answer: RemovalDone,
        withinMs: LEAVE_MS,
      });
    } catch (error) {
      if (isFault(error, "member.removed")) throw error;
      because = `${other.id}: ${messageOf(error)}`;
      // What one server judges of the whole cluster, the next would judge the same.
      if (isFault(error, "member.remove-refused")) break;
    }
  }
  if (await mayBeRevoked(deps)) {
    throw new Fault("member.half-removed", `it was begun, and did not end: ${because}`, {
      hints: [
        `On another server, to finish it: understudy member remove ${deps.node.id}`,
        "Then here: understudy leave",
      ],
    });
  }
  await putBack(deps.etcd, deps.node.id);
  throw new Fault("member.remove-refused", `no other server could take this one out: ${because}`);
}

/** Whether this member's certificates are revoked; what can't be read counts as that they are. */
async function mayBeRevoked(deps: RemovalDeps): Promise<boolean> {
  const own = await deps.ownSerial();
  return readAuthorityCrl(deps.etcd, "control").then(
    (crl) => crl === undefined || crl.serials.includes(own),
    () => true,
  );
}

/** Waits until every member refuses `serials`. Returns those that haven't said so in time. */
async function untilRefused(
  deps: RemovalDeps,
  members: readonly Member[],
  serials: string[],
): Promise<string[]> {
  const endMs = monotonicMs() + TELL_MS;
  let missing = [...members];
  for (;;) {
    const done = await Promise.all(missing.map(async (member) => refuses(deps, member, serials)));
    missing = missing.filter((_, index) => done[index] !== true);
    if (missing.length === 0 || monotonicMs() >= endMs) return missing.map(({ id }) => id);
    await pause(ASK_AGAIN_MS);
  }
}

async function refuses(deps: RemovalDeps, member: Member, serials: string[]): Promise<boolean> {
  const body: z.infer<typeof Refuses> = { serials };
  const ask = async () => {
    if (member.id === deps.node.id) {
      await deps.refusals.sync();
      return deps.refusals.inForce(serials);
    }
    const options = { body, answer: RefusesAnswer, withinMs: ASK_MS };
    return (await deps.peers.call(member.address, "/v1/refuses", options)).refuses;
  };
  return ask().catch(() => false);
}
