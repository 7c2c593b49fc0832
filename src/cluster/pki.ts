// Our own three CAs (decision 2): etcd, edge, control. Each opens its own doors only, and a Puppet
// certificate opens none. Keys of the CAs lie on servers only; leaves lie where their user can read
// them. Danger: whoever holds an edge *client* certificate can claim to be any agent at a
// puppetserver, so listeners' certificates are for servers only (extended key usage), and compilers
// hold no edge client.

import { createHash, type KeyObject, randomBytes } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { createCertificate, parseCertificate } from "../x509/certificate.ts";
import { createCrl } from "../x509/crl.ts";
import {
  type AltName,
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  subjectAltName,
  subjectKeyIdentifier,
} from "../x509/extensions.ts";
import { generateEcKey, keyIdOf, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { OID } from "../x509/oids.ts";
import { encodePem } from "../x509/pem.ts";
import { parseRequest, verifyRequest } from "../x509/request.ts";

export const AUTHORITIES = ["etcd", "edge", "control"] as const;
export type AuthorityName = (typeof AUTHORITIES)[number];

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 15 * 365;
const LEAF_DAYS = 2 * 365;
/** Clocks may differ by this much before a fresh certificate is refused. */
const BACKDATE_MS = DAY_MS;
const SERIAL_BYTES = 16;

/** The leaves that a member may hold, and what each may do. */
export const LEAVES = {
  /** etcd itself (its gateway dials itself, so it needs both) and the daemon's etcd client. */
  etcd: { authority: "etcd", server: true, client: true },
  /** Daemon to daemon. */
  control: { authority: "control", server: true, client: true },
  /** HAProxy towards puppetservers and CA backends. */
  edge: { authority: "edge", server: false, client: true },
  /** The daemon's CA backend, for other members' edges. */
  authority: { authority: "edge", server: true, client: false },
  /** puppetserver's own listener. */
  listener: { authority: "edge", server: true, client: false },
} as const satisfies Record<string, { authority: AuthorityName; server: boolean; client: boolean }>;
export type LeafName = keyof typeof LEAVES;
export const LEAF_NAMES = Object.keys(LEAVES) as LeafName[];

/** Which leaves a member of each role gets. */
export const LEAVES_OF_ROLE = {
  server: ["etcd", "control", "edge", "authority", "listener"],
  compiler: ["etcd", "control", "listener"],
  witness: ["etcd", "control"],
} as const satisfies Record<string, readonly LeafName[]>;

/** A CA of ours with its key, as servers keep it. */
export interface ClusterAuthority {
  name: AuthorityName;
  certificatePem: string;
  key: KeyObject;
}

/** The DNS name in a leaf by which its peers know it, whatever address they dialled. */
export function leafHostname(leaf: LeafName, member: string): string {
  return `${leaf}.${member}.understudy`;
}

/** The name that every control certificate carries; joiners and members verify it. */
export const CONTROL_HOSTNAME = "control.understudy";

/** Makes one of our CAs: self-signed, P-256, 15 years. */
export function createAuthorityCa(
  name: AuthorityName,
  clusterId: string,
  nowMs: number,
): ClusterAuthority {
  const key = generateEcKey();
  const subject = nameOf({ commonName: `Understudy ${name} CA ${clusterId}` });
  const spki = spkiOf(key);
  const der = createCertificate({
    serial: randomSerial(),
    issuerDer: subject,
    subjectDer: subject,
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + AUTHORITY_DAYS * DAY_MS,
    spkiDer: spki,
    extensions: [
      basicConstraints({ ca: true }),
      keyUsage(["keyCertSign", "cRLSign"]),
      subjectKeyIdentifier(spki),
    ],
    signingKey: key,
  });
  return { name, certificatePem: encodePem("CERTIFICATE", der), key };
}

/** Signs the leaf `leaf` for `member` from the joiner's request; only its key is taken from it. */
export function issueLeaf(
  authority: ClusterAuthority,
  leaf: LeafName,
  member: { id: string; address: string },
  requestPem: string,
  nowMs: number,
): { pem: string; serialHex: string; notAfterMs: number } {
  const request = parseRequest(requestPem);
  if (!verifyRequest(request)) {
    throw new Fault("pki.request-signature", `the request for ${leaf} isn't signed by its own key`);
  }
  const issuer = parseCertificate(authority.certificatePem);
  const { server, client } = LEAVES[leaf];
  const names: AltName[] = [
    { type: "DNS" as const, value: leafHostname(leaf, member.id) },
    { type: "DNS" as const, value: member.id },
    { type: "IP" as const, value: member.address },
  ];
  if (leaf === "control") names.push({ type: "DNS", value: CONTROL_HOSTNAME });
  if (leaf === "etcd") {
    names.push({ type: "DNS", value: "localhost" }, { type: "IP", value: "127.0.0.1" });
  }
  const notAfterMs = nowMs + LEAF_DAYS * DAY_MS;
  const serial = randomSerial();
  const der = createCertificate({
    serial,
    issuerDer: issuer.subjectDer,
    subjectDer: nameOf({ commonName: member.id }),
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs,
    spkiDer: request.spkiDer,
    extensions: [
      basicConstraints({ ca: false }),
      keyUsage(["digitalSignature"]),
      extendedKeyUsage([...(server ? [OID.serverAuth] : []), ...(client ? [OID.clientAuth] : [])]),
      subjectAltName(names),
      subjectKeyIdentifier(request.spkiDer),
      authorityKeyIdentifier({ keyId: keyIdOf(issuer.spkiDer) }),
    ],
    signingKey: authority.key,
  });
  return {
    pem: encodePem("CERTIFICATE", der),
    serialHex: parseCertificate(der).serialHex,
    notAfterMs,
  };
}

/** The CRL of one of our CAs: every revoked serial, valid for as long as the CA. */
export function renderAuthorityCrl(
  authority: ClusterAuthority,
  crl: { number: number; revoked: { serialHex: string; atMs: number }[] },
  nowMs: number,
): string {
  const issuer = parseCertificate(authority.certificatePem);
  const { der } = createCrl({
    issuerDer: issuer.subjectDer,
    authorityKeyId: keyIdOf(issuer.spkiDer),
    number: crl.number,
    thisUpdateMs: nowMs - BACKDATE_MS,
    // It lasts as long as its CA: an expired one would shut every edge out of every puppetserver.
    nextUpdateMs: issuer.notAfter,
    entries: crl.revoked.map((entry) => ({
      serial: BigInt(`0x${entry.serialHex}`),
      timeMs: entry.atMs,
      reason: CESSATION_OF_OPERATION,
    })),
    signingKey: authority.key,
  });
  return encodePem("X509 CRL", der);
}

/** SHA-256 of a CA's certificate (DER), base64url: what a join token carries. */
export function authorityHash(certificatePem: string): string {
  const { der } = parseCertificate(certificatePem);
  return createHash("sha256").update(der).digest("base64url");
}

/** SHA-256 of a request's public key (SPKI), hex: what a token is bound to. */
export function requestKeyHash(requestPem: string): string {
  return createHash("sha256").update(parseRequest(requestPem).spkiDer).digest("hex");
}

const CESSATION_OF_OPERATION = 5;

function randomSerial(): bigint {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return BigInt(`0x${bytes.toString("hex")}`);
}
