// Certificates of our own CAs in the record: who was given which serial, and which of them are
// revoked. So a removed member loses every right it was given, whoever signed it (decision 2): a
// leaf is recorded only in a transaction that finds its member still there and not leaving.

import { z } from "zod";
import type { Etcd } from "../etcd/types.ts";
import { isoTime } from "../host/clock.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { memberKey, PKI_PREFIX } from "./keys.ts";
import { requireStaying } from "./members.ts";
import {
  type AuthorityName,
  type ClusterAuthority,
  issueLeaf,
  type LeafName,
  renderAuthorityCrl,
} from "./pki.ts";
import { conflict, CONFLICT_TRIES_MAX, update } from "./record.ts";

/** An issued leaf (`understudy/pki/<ca>/issued/<serial>`). */
const IssuedLeaf = z.object({
  member: z.string(),
  leaf: z.string(),
  at: z.string(),
  notAfter: z.string(),
});

/** What is revoked of one CA (`understudy/pki/<ca>/revoked`). Few entries: members, not agents. */
const RevokedLeaves = z.object({
  number: z.int(),
  revoked: z.array(z.object({ serialHex: z.string(), atMs: z.int(), member: z.string() })),
  /** The CRL, so that members without the CA's key have it too. */
  pem: z.string(),
});
type RevokedLeaves = z.infer<typeof RevokedLeaves>;

const issuedPrefix = (name: AuthorityName) => `${PKI_PREFIX}${name}/issued/`;
const revokedKey = (name: AuthorityName) => `${PKI_PREFIX}${name}/revoked`;

/**
 * Issues a leaf and records its serial before it is handed out. Returns the certificate's PEM.
 * Throws Fault `pki.forbidden` where the member is gone or leaving.
 */
export async function issueAndRecordLeaf(
  deps: { etcd: Etcd; wallMs(): number },
  authority: ClusterAuthority,
  leaf: LeafName,
  member: { id: string; address: string },
  requestPem: string,
): Promise<string> {
  const { pem } = issueLeaf(authority, leaf, member, requestPem, deps.wallMs());
  await recordLeaf(deps, authority.name, leaf, pem);
  return pem;
}

/**
 * Records a leaf that was issued already (init's own, before there was a record). Safe to repeat.
 * Throws Fault `pki.forbidden` as issueAndRecordLeaf.
 */
export async function recordLeaf(
  deps: { etcd: Etcd; wallMs(): number },
  name: AuthorityName,
  leaf: LeafName,
  pem: string,
): Promise<void> {
  const certificate = parseCertificate(pem);
  const id = certificate.commonName ?? "";
  const key = `${issuedPrefix(name)}${certificate.serialHex}`;
  const value = JSON.stringify({
    member: id,
    leaf,
    at: isoTime(deps.wallMs()),
    notAfter: isoTime(certificate.notAfter),
  });
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries++) {
    const { modRevision } = await requireStaying(deps.etcd, id);
    const done = await deps.etcd.transact(
      {
        when: [
          { key, is: "absent" },
          { key: memberKey(id), modRevision },
        ],
        then: [{ put: key, value }],
        otherwise: [{ get: key }],
      },
      { settle: { key, value } },
    );
    if (done.ok || done.reads[0]?.[0] !== undefined) return;
  }
  throw conflict(memberKey(id));
}

/**
 * Revokes every leaf that `member` was given by this CA, and writes the CRL that says so. With no
 * member it only makes sure that there is a CRL. Returns the serials of the leaves that the member
 * had.
 */
export async function revokeLeaves(
  etcd: Etcd,
  authority: ClusterAuthority,
  member: string | undefined,
  nowMs: number,
): Promise<string[]> {
  const { kvs } = await etcd.range(issuedPrefix(authority.name));
  const serials = kvs
    .filter((kv) => IssuedLeaf.parse(JSON.parse(kv.value)).member === member)
    .map((kv) => kv.key.slice(issuedPrefix(authority.name).length));
  await update(etcd, revokedKey(authority.name), RevokedLeaves, (before) => {
    const known = new Set(before?.revoked.map((entry) => entry.serialHex));
    const added = serials.filter((serialHex) => !known.has(serialHex));
    if (before !== undefined && added.length === 0) return undefined;
    const number = (before?.number ?? 0) + 1;
    const revoked = [
      ...(before?.revoked ?? []),
      ...added.map((serialHex) => ({ serialHex, atMs: nowMs, member: member ?? "" })),
    ];
    return { number, revoked, pem: renderAuthorityCrl(authority, { number, revoked }, nowMs) };
  });
  return serials;
}

/**
 * The CA's CRL as PEM and its revoked serials, from the record; undefined before init has written
 * it.
 */
export async function readAuthorityCrl(
  etcd: Etcd,
  name: AuthorityName,
): Promise<{ pem: string; serials: string[] } | undefined> {
  const kv = await etcd.get(revokedKey(name));
  if (kv === undefined) return undefined;
  const { pem, revoked } = RevokedLeaves.parse(JSON.parse(kv.value));
  return { pem, serials: revoked.map((entry) => entry.serialHex) };
}
