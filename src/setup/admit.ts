// The cluster's side of join: who may come in, and what it is given. Safe to run again for the same
// joiner: the token is bound to its key, its member record is found there, and it gets fresh
// certificates.

import { Fault } from "../base/fault.ts";
import { isoTime } from "../host/clock.ts";
import type { Etcd } from "../etcd/types.ts";
import { issueAndRecordLeaf, readAuthorityCrl } from "../cluster/leaves.ts";
import {
  type ClusterAuthority,
  type AuthorityName,
  LEAVES_OF_ROLE,
  LEAVES,
  requestKeyHash,
} from "../cluster/pki.ts";
import { readClusterRecord, updateMember, updateToken } from "../cluster/record.ts";
import { type Member, namesOfServer } from "../cluster/schema.ts";
import { decideToken, type TokenRecord } from "../cluster/token.ts";
import type { JoinAnswer, JoinStart } from "./join-protocol.ts";

/** Certificates and transactions carry times, so clocks must agree to this. */
export const CLOCK_OFFSET_MS_MAX = 60_000;

export interface AdmitDeps {
  etcd: Etcd;
  authorities: Record<AuthorityName, ClusterAuthority>;
  /** Signs a member's Puppet certificate with these alt names; gives the CA's public files. */
  signPuppet(requestPem: string, altNames: string[]): Promise<NonNullable<JoinAnswer["puppet"]>>;
  /** Etcd's client URLs, and the clock. */
  etcdEndpoints(): string[];
  wallMs(): number;
}

/** Admits a joiner, or throws the Fault that it shows its administrator. */
export async function admit(deps: AdmitDeps, start: JoinStart): Promise<JoinAnswer> {
  const controlRequest = start.requests["control"];
  if (controlRequest === undefined) {
    throw new Fault("join.malformed", "the join request has no control certificate request");
  }
  const record = await readClusterRecord(deps.etcd);
  if (record === undefined) throw new Fault("cluster.no-record", "there is no cluster record yet");
  await checkToken(deps, start, requestKeyHash(controlRequest));
  checkClock(start.wallMs, deps.wallMs());
  const members = record.members.map((member) => member.value);
  const resumed = await bindToken(deps, start, requestKeyHash(controlRequest), members);
  await addMember(deps, start, resumed);

  const certificates: Record<string, string> = {};
  const authorities: JoinAnswer["authorities"] = {};
  for (const leaf of LEAVES_OF_ROLE[start.role]) {
    const request = start.requests[leaf];
    if (request === undefined) {
      throw new Fault("join.malformed", `the join request lacks the ${leaf} certificate request`);
    }
    const authority = deps.authorities[LEAVES[leaf].authority];
    certificates[leaf] = await issueAndRecordLeaf(deps, authority, leaf, start.member, request);
    authorities[authority.name] = {
      certificate: authority.certificatePem,
      crl: (await readAuthorityCrl(deps.etcd, authority.name))?.pem ?? "",
    };
  }
  const after = await readClusterRecord(deps.etcd);
  const answer: JoinAnswer = {
    meta: record.meta.value,
    settings: record.settings.value,
    members: (after ?? record).members.map((member) => member.value),
    etcdEndpoints: deps.etcdEndpoints(),
    certificates,
    authorities,
  };
  if (start.puppetRequest !== undefined) {
    const altNames = namesOfServer(record.settings.value, start.member.id);
    answer.puppet = await deps.signPuppet(start.puppetRequest, altNames);
  }
  return answer;
}

async function checkToken(deps: AdmitDeps, start: JoinStart, keyHash: string): Promise<void> {
  let verdict: ReturnType<typeof decideToken> | undefined;
  const { secret } = start.token;
  await updateToken(deps.etcd, start.token.id, (token) => {
    verdict = decideToken(token, { secret, keyHash, role: start.role, nowMs: deps.wallMs() });
    if (token === undefined || verdict.do !== "refuse" || !verdict.countWrong) return undefined;
    return { ...token, wrongSecrets: token.wrongSecrets + 1 };
  });
  if (verdict?.do === "refuse") throw refusal(verdict);
}

async function bindToken(
  deps: AdmitDeps,
  start: JoinStart,
  keyHash: string,
  members: Member[],
): Promise<boolean> {
  const { secret } = start.token;
  let resumed = false;
  await updateToken(deps.etcd, start.token.id, (token) => {
    const verdict = decideToken(token, { secret, keyHash, role: start.role, nowMs: deps.wallMs() });
    if (verdict.do === "refuse") throw refusal(verdict);
    resumed = verdict.do === "resume" && verdict.member === start.member.id;
    if (!resumed) checkNames(start, members);
    if (verdict.do === "resume") return checkSameMember(token, start);
    return { ...(token as TokenRecord), boundTo: keyHash, member: start.member.id };
  });
  return resumed;
}

function checkSameMember(token: TokenRecord | undefined, start: JoinStart): undefined {
  if (token?.member === start.member.id) return undefined;
  throw new Fault(
    "token.used",
    `the token was used to join as ${token?.member ?? "another name"}`,
    {
      hints: ["A token makes one member. For another: understudy token create"],
    },
  );
}

function checkNames(start: JoinStart, members: Member[]): void {
  const { id, address } = start.member;
  if (members.some((member) => member.id === id)) {
    throw new Fault("join.name-taken", `${id} is already a member of this cluster`, {
      hints: [`If that server is gone for good, remove it first: understudy member remove ${id}`],
    });
  }
  const neighbour = members.find((member) => member.address === address);
  if (neighbour !== undefined) {
    throw new Fault("join.address-taken", `${neighbour.id} already has the address ${address}`, {
      hints: ["Give this server's own: understudy join … --address ADDRESS"],
    });
  }
}

function checkClock(joinerMs: number, hereMs: number): void {
  const offset = joinerMs - hereMs;
  if (Math.abs(offset) <= CLOCK_OFFSET_MS_MAX) return;
  const side = offset > 0 ? "ahead of" : "behind";
  throw new Fault(
    "join.clock",
    `this server's clock is ${Math.round(Math.abs(offset) / 1000)} s ${side} the cluster's; ${CLOCK_OFFSET_MS_MAX / 1000} s is the most`,
    { hints: ["Set the clock (timedatectl, chrony), then run the same command again."] },
  );
}

async function addMember(deps: AdmitDeps, start: JoinStart, resumed: boolean): Promise<void> {
  const { id, address, version, backends } = start.member;
  await updateMember(deps.etcd, id, (member) => {
    if (member !== undefined && !resumed) return undefined;
    return {
      id,
      address,
      version,
      backends,
      role: start.role,
      phase: member?.phase ?? "joining",
      // It votes once it is ready: its etcd can be started then.
      mayVote: member?.mayVote ?? false,
      joinedAt: member?.joinedAt ?? isoTime(deps.wallMs()),
    };
  });
}

function refusal(verdict: { code: string; because: string }): Fault {
  return new Fault(verdict.code, verdict.because, {
    hints: ["Make a new token on a server of the cluster: understudy token create"],
  });
}
