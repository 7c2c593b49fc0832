// Joins and removals as the daemon carries them out: the pure judgement is in setup, the record in
// cluster.

import { createPublicKey } from "node:crypto";
import type { z } from "zod";
import { type Caller, Refuses, RefusesAnswer } from "../api/member-app.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import type { Log } from "../base/log.ts";
import { revokeLeaves } from "../cluster/leaves.ts";
import { deleteMember, markLeaving, readMember } from "../cluster/members.ts";
import type { Peers } from "../cluster/peer.ts";
import { AUTHORITIES, authorityHash } from "../cluster/pki.ts";
import { requireAuthorities } from "../cluster/pki-store.ts";
import { updateMember, updateSettings } from "../cluster/record.ts";
import type { NodeFile, Role } from "../cluster/schema.ts";
import { seal } from "../cluster/seal.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { createToken, finishToken } from "../cluster/tokens.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { peerUrl } from "../etcd/server.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import { type CreatedToken, RemovalDone } from "../setup/contract.ts";
import type { JoinKeys } from "../setup/join-protocol.ts";
import { planRemoval } from "../setup/removal.ts";
import type { Refusals } from "./pki-loop.ts";
import { exportPkcs8 } from "../x509/keys.ts";

/** How long a removal waits for the other members to refuse the removed one's certificates. */
const TELL_MS = 20_000;
const LEAVE_MS = 120_000;
const ASK_MS = 3000;
const ASK_AGAIN_MS = 300;

export interface MembershipDeps {
  node: NodeFile;
  etcd: Etcd;
  peers: Peers;
  keeper: ViewKeeper;
  refusals: Refusals;
  log: Log;
  /** The Puppet CA's private key, PEM, for a new server. */
  puppetKey(): Promise<string>;
  /** Revokes a removed member's Puppet certificate. */
  revokePuppet(id: string): Promise<void>;
  status(): Promise<ClusterStatus>;
}

type Removed = z.infer<typeof RemovalDone>;

export async function issueToken(
  deps: MembershipDeps,
  wish: { role: Role; validMs: number },
): Promise<CreatedToken> {
  const { control } = await requireAuthorities();
  const { id, text } = await createToken(deps.etcd, {
    ...wish,
    caHash: authorityHash(control.certificatePem),
    createdBy: deps.node.id,
    nowMs: wallMs(),
  });
  const { address } = deps.node;
  const host = address.includes(":") ? `[${address}]` : address;
  return { id, role: wish.role, token: text, url: `https://${host}:${PORTS.control}` };
}

/** The keys for a new server, sealed to the certificate that it called with. */
export async function sealKeys(deps: MembershipDeps, caller: Caller): Promise<unknown> {
  const member = deps.keeper.current()?.members.find((each) => each.id === caller.id);
  if (member?.role !== "server") {
    throw new Fault(
      "join.forbidden",
      `${caller.id} is no server of this cluster: it gets no CA keys`,
    );
  }
  const authorities = await requireAuthorities();
  const keys: JoinKeys = { authorities: {}, puppetKey: await deps.puppetKey() };
  for (const name of AUTHORITIES) {
    const { key, certificatePem } = authorities[name];
    keys.authorities[name] = { key: exportPkcs8(key), certificate: certificatePem };
  }
  deps.log.notice(`CA keys sealed for ${caller.id}`);
  const reader = createPublicKey({ key: caller.publicKey, format: "der", type: "spki" });
  return { sealed: seal(JSON.stringify(keys), reader) };
}

/** Setup went through: this member counts, and its token is spent. */
export async function finishMember(deps: MembershipDeps): Promise<void> {
  const { id, role } = deps.node;
  await updateMember(deps.etcd, id, (member) => {
    if (member === undefined) return undefined;
    return { ...member, phase: "ready", mayVote: role === "server" };
  });
  await finishToken(deps.etcd, id);
  deps.keeper.loop.wake();
}

/**
 * Takes `id` out: etcd first, then its certificates' rights, then its record; waits for the others.
 */
export async function removeMember(deps: MembershipDeps, id: string): Promise<Removed> {
  const plan = planRemoval(await deps.status(), id);
  if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
  await markLeaving(deps.etcd, id);
  const was = await readMember(deps.etcd, id);
  if (was === undefined) throw new Fault("member.not-found", `${id} is no member any more`);
  const { address } = was.member;
  const lines: string[] = [];
  const listed = (await deps.etcd.members.list()).find((each) =>
    each.peerUrls.includes(peerUrl(address)),
  );
  if (listed !== undefined) {
    await deps.etcd.members.remove(listed.id);
    lines.push(`${id} is no member of etcd any more`);
  }
  const authorities = await requireAuthorities();
  const serials: string[] = [];
  for (const name of AUTHORITIES) {
    serials.push(...(await revokeLeaves(deps.etcd, authorities[name], id, wallMs())));
  }
  // This member's own doors first: the others are asked below, this one has nobody to ask it.
  await deps.refusals.sync();
  await deps.revokePuppet(id);
  await deleteMember(deps.etcd, was);
  deps.keeper.loop.wake();
  const unconfirmed = await tellOthers(deps, id, serials);
  const all = (deps.keeper.current()?.members ?? []).filter((each) => each.id !== id).length;
  lines.push(`its certificates are refused by ${all - unconfirmed.length} of ${all} members`);
  for (const name of unconfirmed)
    lines.push(`  ${name} could not be told yet; it learns it as soon as it can`);
  lines.push(`${id} is removed`);
  deps.log.notice(`member ${id} removed`);
  return { id, lines, unconfirmed };
}

/** Asks another server to take this one out. */
export async function askToLeave(deps: MembershipDeps): Promise<Removed> {
  const others = (deps.keeper.current()?.members ?? []).filter(
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
      because = `${other.id}: ${messageOf(error)}`;
    }
  }
  throw new Fault("member.remove-refused", `no other server could take this one out: ${because}`);
}

export async function setVoters(deps: MembershipDeps, count: 1 | 3 | 5): Promise<void> {
  await updateSettings(deps.etcd, (settings) => ({ ...settings, voters: count }));
  deps.keeper.loop.wake();
}

/** Waits until every other member refuses `serials`. Returns those that haven't said so in time. */
async function tellOthers(
  deps: MembershipDeps,
  removed: string,
  serials: string[],
): Promise<string[]> {
  const endMs = monotonicMs() + TELL_MS;
  const others = [removed, deps.node.id];
  let missing = (deps.keeper.current()?.members ?? []).filter(({ id }) => !others.includes(id));
  while (missing.length > 0 && monotonicMs() < endMs) {
    const done = await Promise.all(missing.map(async (member) => refuses(deps, member, serials)));
    missing = missing.filter((_, index) => done[index] !== true);
    if (missing.length > 0) await pause(ASK_AGAIN_MS);
  }
  return missing.map((member) => member.id);
}

async function refuses(
  deps: MembershipDeps,
  member: { address: string },
  serials: string[],
): Promise<boolean> {
  const body: z.infer<typeof Refuses> = { serials };
  return deps.peers
    .call(member.address, "/v1/refuses", { body, answer: RefusesAnswer, withinMs: ASK_MS })
    .then(
      (answer) => answer.refuses,
      () => false,
    );
}
