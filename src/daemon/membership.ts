// Who comes into the cluster, as the daemon carries it out: tokens, a new server's keys, the end of
// a join, how many vote. Getting somebody out is removal.ts; the record is in cluster.

import { createPublicKey } from "node:crypto";
import type { Caller } from "../api/member-app.ts";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { readMember } from "../cluster/members.ts";
import { AUTHORITIES, authorityHash } from "../cluster/pki.ts";
import { readClusterRecord, updateMember, updateSettings } from "../cluster/record.ts";
import { ALT_NAMES_MAX, type Role, type Settings } from "../cluster/schema.ts";
import { seal } from "../cluster/seal.ts";
import { countServers, describeVoters } from "../cluster/status.ts";
import { createToken, finishToken } from "../cluster/tokens.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import type { CreatedToken, VotersAnswer } from "../setup/contract.ts";
import type { JoinKeys } from "../setup/join-protocol.ts";
import { exportPkcs8 } from "../x509/keys.ts";
import type { RemovalDeps } from "./removal.ts";

/** More than the view's timer needs. */
const SEEN_MS_MAX = 6000;

export interface MembershipDeps extends RemovalDeps {
  /** Throws Fault `cluster.clock-off` where this clock is too wrong for `what`. */
  requireClock(what: string): void;
  /** The Puppet CA's private key, PEM, for a new server. */
  puppetKey(): Promise<string>;
}

export async function issueToken(
  deps: MembershipDeps,
  wish: { role: Role; validMs: number },
): Promise<CreatedToken> {
  deps.requireClock("a token that it made would end at another time than it says");
  const { control } = await deps.authorities();
  const { id, text, revision } = await createToken(deps.etcd, {
    ...wish,
    caHash: authorityHash(control.certificatePem),
    createdBy: deps.node.id,
    nowMs: wallMs(),
  });
  const { copies } = await deps.confirmCopies(revision);
  const { address } = deps.node;
  const host = address.includes(":") ? `[${address}]` : address;
  const url = `https://${host}:${PORTS.control}`;
  return { id, role: wish.role, token: text, url, copies };
}

/**
 * The keys for a new server, sealed to the certificate that it called with. What it is says the
 * record as it is now: a member that leaves gets nothing.
 */
export async function sealKeys(deps: MembershipDeps, caller: Caller): Promise<unknown> {
  const member = (await readMember(deps.etcd, caller.id))?.member;
  if (member?.role !== "server" || member.phase === "leaving") {
    throw new Fault(
      "join.forbidden",
      `${caller.id} is no server of this cluster: it gets no CA keys`,
    );
  }
  const authorities = await deps.authorities();
  const keys: JoinKeys = { authorities: {}, puppetKey: await deps.puppetKey() };
  for (const name of AUTHORITIES) {
    const { key, certificatePem } = authorities[name];
    keys.authorities[name] = { key: exportPkcs8(key), certificate: certificatePem };
  }
  deps.log.notice(`CA keys sealed for ${caller.id}`);
  const reader = createPublicKey({ key: caller.publicKey, format: "der", type: "spki" });
  return { sealed: seal(JSON.stringify(keys), reader) };
}

/** The view may be a moment behind the record: waits until it has a member that the record has. */
export async function untilSeen(
  { etcd, keeper }: { etcd: Etcd; keeper: Pick<ViewKeeper, "current" | "loop"> },
  id: string,
): Promise<void> {
  const isSeen = () => keeper.current()?.members.some((member) => member.id === id) ?? false;
  if (isSeen() || (await readMember(etcd, id).catch(() => undefined)) === undefined) return;
  keeper.loop.wake();
  // Where it doesn't come, what is asked for is refused, as for a member that nobody knows.
  await until("the view", isSeen, { withinMs: SEEN_MS_MAX, everyMs: 100 }).catch(() => undefined);
}

/** Setup went through: this member counts, and its token is spent. */
export async function finishMember(deps: MembershipDeps): Promise<void> {
  const { id, role } = deps.node;
  await updateMember(deps.etcd, id, (member) => {
    if (member === undefined || member.phase === "leaving") {
      throw new Fault("member.removed", `${id} was taken out while it was set up`);
    }
    return { ...member, phase: "ready", mayVote: role === "server" };
  });
  await finishToken(deps.etcd, id);
  deps.wake();
}

/** Adds names that agents may call every server by. Returns the settings that hold then. */
export async function addNames(deps: MembershipDeps, names: readonly string[]): Promise<Settings> {
  if (names.length > 0) {
    await updateSettings(deps.etcd, (settings) => ({
      ...settings,
      otherNames: withNames(settings, names),
    }));
    deps.wake();
  }
  const record = await readClusterRecord(deps.etcd);
  if (record !== undefined) return record.settings.value;
  throw new Fault("cluster.no-record", "there is no record yet");
}

function withNames({ sharedName, otherNames }: Settings, names: readonly string[]): string[] {
  const all = [...new Set([...otherNames, ...names])].filter((name) => name !== sharedName);
  if (all.length <= ALT_NAMES_MAX) return all;
  throw new Fault("cluster.settings", `otherNames: ${all.length} names, ${ALT_NAMES_MAX} may be`);
}

/** Sets how many are to vote; says what that comes to with the servers there are. */
export async function setVoters(deps: MembershipDeps, count: 1 | 3 | 5): Promise<VotersAnswer> {
  await updateSettings(deps.etcd, (settings) => ({ ...settings, voters: count }));
  deps.wake();
  const { members, etcd } = await deps.status();
  const because = describeVoters(count, etcd.voters, countServers(members));
  return { voters: count, voting: etcd.voters, because };
}
