// A cluster's record in a real etcd for tests, with CAs of its own, and joiners with real keys.

import { randomUUID } from "node:crypto";
import { revokeLeaves } from "../../cluster/leaves.ts";
import {
  AUTHORITIES,
  authorityHash,
  type AuthorityName,
  type ClusterAuthority,
  createAuthorityCa,
  LEAVES_OF_ROLE,
} from "../../cluster/pki.ts";
import { createClusterRecord } from "../../cluster/record.ts";
import { Member, Meta, type Role, Settings } from "../../cluster/schema.ts";
import { parseToken } from "../../cluster/token.ts";
import { createToken } from "../../cluster/tokens.ts";
import type { EtcdTestCluster } from "../../etcd/testing/cluster.ts";
import type { Etcd } from "../../etcd/types.ts";
import { generateEcKey } from "../../x509/keys.ts";
import { createRequest } from "../../x509/request.ts";
import type { AdmitDeps } from "../admit.ts";
import type { JoinStart } from "../join-protocol.ts";

export const FIRST = "s1.lab.test";
const HOUR_MS = 3_600_000;

export interface TestSite {
  etcd: Etcd;
  authorities: Record<AuthorityName, ClusterAuthority>;
  clusterId: string;
  /** What `admit` needs; Puppet's certificates are names only. */
  deps: AdmitDeps;
  /** Names whose Puppet certificates were revoked. */
  revoked: string[];
  newToken(role?: Role): Promise<string>;
}

/** Writes the record of a cluster with one server, FIRST, at 10.0.0.1. */
export async function createTestSite(cluster: EtcdTestCluster): Promise<TestSite> {
  const etcd = cluster.client();
  const clusterId = randomUUID();
  const nowMs = Date.now();
  const made = AUTHORITIES.map(
    (name) => [name, createAuthorityCa(name, clusterId, nowMs)] as const,
  );
  const authorities = Object.fromEntries(made) as TestSite["authorities"];
  await createClusterRecord(etcd, {
    meta: Meta.parse({ format: 1, clusterId, generation: 1, createdAt: "now" }),
    settings: Settings.parse({ sharedName: "puppet.lab.test" }),
    member: member(FIRST, "10.0.0.1"),
  });
  for (const [, authority] of made) await revokeLeaves(etcd, authority, undefined, nowMs);
  const revoked: string[] = [];
  const deps: AdmitDeps = {
    etcd,
    authorities,
    signPuppet: async () => ({ certificate: "certificate", bundle: "bundle", crl: "crl" }),
    revokePuppet: async (id) => revoked.push(id),
    etcdEndpoints: () => cluster.endpoints,
    wallMs: () => Date.now(),
  };
  const newToken = async (role: Role = "server") => {
    const caHash = authorityHash(authorities.control.certificatePem);
    const wish = { role, validMs: HOUR_MS, caHash, createdBy: FIRST, nowMs: Date.now() };
    return (await createToken(etcd, wish)).text;
  };
  return { etcd, authorities, clusterId, deps, revoked, newToken };
}

/** A server that is a whole member, as the record has it. */
export function member(id: string, address: string, more: Partial<Member> = {}): Member {
  return {
    ...Member.parse({
      id,
      role: "server",
      address,
      phase: "ready",
      mayVote: true,
      backends: [],
      version: "1.0.0",
      joinedAt: "now",
    }),
    ...more,
  };
}

/** What a joiner with keys of its own sends with `text`; the same keys each time it is called. */
export function createJoiner(id: string, address: string) {
  const keys = new Map<string, ReturnType<typeof generateEcKey>>();
  const request = (leaf: string) => {
    const key = keys.get(leaf) ?? generateEcKey();
    keys.set(leaf, key);
    return createRequest({ commonName: id, key });
  };
  return (text: string): JoinStart => {
    const { id: tokenId, secret, role } = parseToken(text);
    const leaves: readonly string[] = LEAVES_OF_ROLE[role];
    return {
      token: { id: tokenId, secret },
      role,
      member: { id, address, version: "1.0.0", backends: [] },
      requests: Object.fromEntries(leaves.map((leaf) => [leaf, request(leaf)])),
      puppetRequest: request("puppet"),
      wallMs: Date.now(),
    };
  };
}
