// The cluster's side of join: who may come in, and what it is given. Safe to run again for the same
// joiner: the token is bound to its key, its member record is found there, and it gets fresh
// certificates. Danger: a removed member still has its token and key; they must bring nothing back.

import { Fault, messageOf } from "../base/fault.ts";
import { CLOCK_OFFSET_MAX_MS } from "../cluster/clock.ts";
import { isoTime } from "../host/clock.ts";
import type { Etcd } from "../etcd/types.ts";
import { issueAndRecordLeaf, readAuthorityCrl } from "../cluster/leaves.ts";
import { admitMember, requireStaying } from "../cluster/members.ts";
import {
  type ClusterAuthority,
  type AuthorityName,
  LEAVES_OF_ROLE,
  LEAVES,
  requestKeyHash,
} from "../cluster/pki.ts";
import { readClusterRecord, updateToken } from "../cluster/record.ts";
import { type Member, namesOfServer } from "../cluster/schema.ts";
import { decideToken, type TokenRecord } from "../cluster/token.ts";
import { parseRequest, verifyRequest } from "../x509/request.ts";
import type { JoinAnswer, JoinStart } from "./join-protocol.ts";

export interface AdmitDeps {
  etcd: Etcd;
  authorities: Record<AuthorityName, ClusterAuthority>;
  /** Signs a member's Puppet certificate with these alt names; gives the CA's public files. */
  signPuppet(requestPem: string, altNames: string[]): Promise<NonNullable<JoinAnswer["puppet"]>>;
  /** Takes it back: the member was removed in between. */
  revokePuppet(id: string): Promise<unknown>;
  /** Etcd's client URLs, and the clock. */
  etcdEndpoints(): string[];
  wallMs(): number;
}

/** Admits a joiner, or throws the Fault that it shows its administrator. */
export async function admit(deps: AdmitDeps, start: JoinStart): Promise<JoinAnswer> {
  const { control } = checkRequests(start);
  const record = await readClusterRecord(deps.etcd);
  if (record === undefined) throw new Fault("cluster.no-record", "there is no cluster record yet");
  const keyHash = requestKeyHash(control);
  await checkToken(deps, start, keyHash);
  checkClock(start.wallMs, deps.wallMs());
  const { id, address } = start.member;
  await admitMember(deps.etcd, { tokenId: start.token.id, id, address }, (token, members) =>
    decideAdmission(start, { token, members }, { keyHash, nowMs: deps.wallMs() }),
  );
  const leaves = await issueLeaves(deps, start);
  const after = await readClusterRecord(deps.etcd);
  const answer: JoinAnswer = {
    meta: record.meta.value,
    settings: record.settings.value,
    members: (after ?? record).members.map((member) => member.value),
    etcdEndpoints: deps.etcdEndpoints(),
    ...leaves,
  };
  if (start.puppetRequest !== undefined) {
    const altNames = namesOfServer(record.settings.value, id);
    answer.puppet = await deps.signPuppet(start.puppetRequest, altNames);
    await requireStaying(deps.etcd, id).catch(async (error: unknown) => {
      await deps.revokePuppet(id);
      throw error;
    });
  }
  return answer;
}

/** All that could be wrong with what is to be signed, before the token is bound. */
function checkRequests(start: JoinStart): { control: string } {
  const check = (what: string, pem: string | undefined, name?: string): string => {
    if (pem === undefined)
      throw malformed(`the join request lacks the ${what} certificate request`);
    let commonName: string | undefined;
    try {
      const request = parseRequest(pem);
      if (!verifyRequest(request)) throw new Error("it isn't signed by its own key");
      commonName = request.commonName;
    } catch (error) {
      throw malformed(`the ${what} certificate request is no good: ${messageOf(error)}`);
    }
    if (name === undefined || commonName === name) return pem;
    throw malformed(`the ${what} certificate request isn't ${name}'s own`);
  };
  for (const leaf of LEAVES_OF_ROLE[start.role]) check(leaf, start.requests[leaf]);
  if (start.role !== "witness") check("Puppet", start.puppetRequest, start.member.id);
  return { control: check("control", start.requests["control"]) };
}

function malformed(message: string): Fault {
  return new Fault("join.malformed", message);
}

/** Judges the token, and counts a wrong secret. */
async function checkToken(deps: AdmitDeps, start: JoinStart, keyHash: string): Promise<void> {
  let verdict: ReturnType<typeof decideToken> | undefined;
  const { secret } = start.token;
  await updateToken(deps.etcd, start.token.id, (token) => {
    verdict = decideToken(token, { secret, keyHash, role: start.role, nowMs: deps.wallMs() });
    if (token === undefined || verdict.do !== "refuse" || !verdict.countWrong) return undefined;
    return { ...token, wrongSecrets: token.wrongSecrets + 1 };
  });
  if (verdict?.do === "refuse") throw refusedBy(verdict);
}

/** What the record is to say of the joiner; pure. Throws the Fault that refuses it. */
export function decideAdmission(
  start: Pick<JoinStart, "token" | "role" | "member">,
  record: { token: TokenRecord | undefined; members: readonly Member[] },
  use: { keyHash: string; nowMs: number },
): { token: TokenRecord; member: Member } {
  const { token, members } = record;
  const { role, member: joiner } = start;
  const verdict = decideToken(token, { ...use, secret: start.token.secret, role });
  if (verdict.do === "refuse") throw refusedBy(verdict);
  const known = members.find((member) => member.id === joiner.id);
  if (verdict.do === "resume") {
    if (verdict.member !== joiner.id) {
      throw refusal("token.used", `the token was used to join as ${verdict.member}`);
    }
    if (known === undefined || known.phase === "leaving") {
      throw refusal("token.used", `the token made ${joiner.id}, which was removed since`);
    }
  } else if (known !== undefined) {
    throw new Fault("join.name-taken", `${joiner.id} is already a member of this cluster`, {
      hints: [
        `If that server is gone for good, remove it first: understudy member remove ${joiner.id}`,
      ],
    });
  }
  checkAddress(joiner, members);
  return {
    token: { ...(token as TokenRecord), boundTo: use.keyHash, member: joiner.id },
    member: {
      ...joiner,
      role,
      phase: known?.phase ?? "joining",
      // It votes once it is ready: its etcd can be started then.
      mayVote: known?.mayVote ?? false,
      joinedAt: known?.joinedAt ?? isoTime(use.nowMs),
    },
  };
}

function checkAddress(joiner: { id: string; address: string }, members: readonly Member[]): void {
  const { id, address } = joiner;
  const neighbour = members.find((member) => member.address === address && member.id !== id);
  if (neighbour === undefined) return;
  throw new Fault("join.address-taken", `${neighbour.id} already has the address ${address}`, {
    hints: ["Give this server's own: understudy join … --address ADDRESS"],
  });
}

function checkClock(joinerMs: number, hereMs: number): void {
  const offset = joinerMs - hereMs;
  if (Math.abs(offset) <= CLOCK_OFFSET_MAX_MS) return;
  const side = offset > 0 ? "ahead of" : "behind";
  throw new Fault(
    "join.clock",
    `this server's clock is ${Math.round(Math.abs(offset) / 1000)} s ${side} the cluster's; ${CLOCK_OFFSET_MAX_MS / 1000} s is the most`,
    { hints: ["Set the clock (timedatectl, chrony), then run the same command again."] },
  );
}

async function issueLeaves(
  deps: AdmitDeps,
  start: JoinStart,
): Promise<Pick<JoinAnswer, "certificates" | "authorities">> {
  const certificates: JoinAnswer["certificates"] = {};
  const authorities: JoinAnswer["authorities"] = {};
  for (const leaf of LEAVES_OF_ROLE[start.role]) {
    const authority = deps.authorities[LEAVES[leaf].authority];
    const request = start.requests[leaf] ?? "";
    certificates[leaf] = await issueAndRecordLeaf(deps, authority, leaf, start.member, request);
    authorities[authority.name] = {
      certificate: authority.certificatePem,
      crl: (await readAuthorityCrl(deps.etcd, authority.name))?.pem ?? "",
    };
  }
  return { certificates, authorities };
}

/** Whoever has a used token's secret may be the one that it was stolen from. */
function refusedBy({ code, because }: { code: string; because: string }): Fault {
  const stolen =
    "If that is no server of yours, the token was stolen: understudy member remove, there.";
  return refusal(code, because, code === "token.used" ? [stolen] : []);
}

function refusal(code: string, because: string, hints: string[] = []): Fault {
  return new Fault(code, because, {
    hints: [...hints, "Make a new token on a server of the cluster: understudy token create"],
  });
}
