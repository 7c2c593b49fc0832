// Signing: a request becomes a certificate by one transaction that compares everything the decision
// rests on. Of two who sign the same request at once one wins, and the other hears of it.

import type { KeyObject } from "node:crypto";
import { Fault } from "../base/fault.ts";
import type { Compare } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { type Certificate, createCertificateAsync } from "../x509/certificate.ts";
import { nameOf } from "../x509/name.ts";
import type { Blocks } from "./blocks.ts";
import { type ClockTrust, wholeSecond } from "./clock.ts";
import type { Issuer } from "./issuer.ts";
import {
  readRequest,
  refuseRequest,
  subjectOf,
  ttlOf,
  type NameContext,
  type ReadRequest,
} from "./policy.ts";
import {
  agentExtensions,
  BACKDATE_MS,
  renewedExtensions,
  serverExtensions,
  type Subject,
} from "./profile.ts";
import { certKey, encodeValue, nameKey, requestKey, revokedKey, type CertValue } from "./record.ts";
import { serialOf, type Serial } from "./serial.ts";
import type { CaSettings } from "./settings.ts";
import { unchanged, type Commit, type Store } from "./store.ts";
import type { Mirror, Touched } from "./mirror.ts";

/** Attempts while other servers change the same name. */
const TRIES_MAX = 20;

/** What requests are judged with. */
export interface Judge {
  store: Store;
  settings: CaSettings;
  names: NameContext;
}

/** What certificates are signed with. */
export interface Signer extends Judge {
  blocks: Blocks;
  issuer: Issuer;
  key: KeyObject;
  /** How sure this server is of its clock. */
  clock: ClockTrust;
  /** This member's id. */
  member: string;
}

export interface SignOptions {
  /** Seconds from now; the setting's otherwise. */
  ttlSeconds?: number;
}

export interface Issued {
  ok: true;
  certname: string;
  serial: Serial;
  der: Buffer;
  notAfterMs: number;
  revision: number;
  touched: Touched;
}

export type Signed = Issued | { ok: false; why: "no-request" | "refused"; because: string };

/** Signs the request that waits for `certname`. Throws Fault `ca.busy`, `etcd.…`. */
export async function signWaiting(
  signer: Signer,
  certname: string,
  options: SignOptions = {},
): Promise<Signed> {
  const { store } = signer;
  const { requests } = store.mirror.tables;
  const keys = [requestKey(certname), nameKey(certname)];
  if (!requests.has(certname)) await store.refresh(keys, { forChange: true });
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const row = requests.get(certname);
    if (row === undefined) return noRequest(certname);
    const read = readRequest(row.pem);
    const because = read.ok
      ? refuseRequest(read.read, signer.settings, signer.names)
      : read.because;
    if (!read.ok || because !== undefined) {
      return { ok: false, why: "refused", because: because ?? "" };
    }
    const done = await issue(signer, {
      subject: subjectOf(read.read),
      extensions: agentExtensions,
      ttlSeconds: ttlOf(read.read, signer.settings, options.ttlSeconds),
      when: unchangedSince(lookAt(store.mirror, certname), certname),
      then: [{ delete: requestKey(certname) }],
    });
    if (done !== undefined) return done;
  }
  throw busy(certname);
}

/** The revisions of what a name has; 0: nothing. What was decided on them is compared with them. */
export interface Seen {
  name: number;
  request: number;
}

/** What memory has of the name at this moment: to be taken where the decision is made. */
export function lookAt({ tables }: Mirror, certname: string): Seen {
  const { names, requests } = tables;
  return { name: names.revisionOf(certname), request: requests.revisionOf(certname) };
}

/**
 * Signs a request as it comes in, if its name still has what was `seen` of it. Undefined: it has
 * something else now.
 */
export function signIncoming(
  signer: Signer,
  read: ReadRequest,
  seen: Seen,
  signal?: AbortSignal,
): Promise<Issued | undefined> {
  const { certname } = read;
  return issue(signer, {
    subject: subjectOf(read),
    extensions: agentExtensions,
    ttlSeconds: ttlOf(read, signer.settings),
    when: unchangedSince(seen, certname),
    then: seen.request > 0 ? [{ delete: requestKey(certname) }] : [],
    ...(signal && { signal }),
  });
}

/** Compares that a name still has what was seen of it. */
export function unchangedSince({ name, request }: Seen, certname: string): Compare[] {
  return [unchanged(requestKey(certname), request), unchanged(nameKey(certname), name)];
}

/**
 * Signs a server's own certificate: it may administer the CA and has the alt names it asks for.
 * Replaces what its name had, without revoking it.
 */
export async function signServer(
  signer: Signer,
  subject: Subject,
  ttlSeconds: number,
): Promise<Issued> {
  const { names } = signer.store.mirror.tables;
  const { certname } = subject;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const done = await issue(signer, {
      subject,
      extensions: serverExtensions,
      ttlSeconds,
      when: [unchanged(nameKey(certname), names.revisionOf(certname))],
      then: [],
    });
    if (done !== undefined) return done;
  }
  throw busy(certname);
}

/**
 * Signs a certificate that takes the place of `certificate`: same name, key and extensions, a later
 * end. The former one stays valid, as in Puppet Server: the agent may never get the answer.
 */
export async function renew(signer: Signer, certificate: Certificate): Promise<Signed> {
  const { names, revoked } = signer.store.mirror.tables;
  const { commonName: certname = "", spkiDer, extensions } = certificate;
  const serial = serialOf(certificate.serial);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    if (revoked.has(serial)) {
      return { ok: false, why: "refused", because: `${certname}'s certificate is revoked` };
    }
    const done = await issue(signer, {
      subject: { certname, spkiDer, altNames: [], altNamesCritical: false, extensions },
      extensions: renewedExtensions,
      ttlSeconds: signer.settings.autoRenewalTtlSeconds,
      when: [
        { key: revokedKey(serial), is: "absent" },
        unchanged(nameKey(certname), names.revisionOf(certname)),
      ],
      then: [],
    });
    if (done !== undefined) return done;
  }
  throw busy(certname);
}

interface Issue {
  subject: Subject;
  extensions: typeof agentExtensions;
  ttlSeconds: number;
  when: Commit["when"];
  then: Commit["then"];
  /** Nothing is committed once it has aborted. */
  signal?: AbortSignal;
}

/** Undefined when a compare failed; memory has the reason then. */
async function issue(signer: Signer, wish: Issue): Promise<Issued | undefined> {
  const { store, issuer, member } = signer;
  const { certname, spkiDer } = wish.subject;
  const serial = await signer.blocks.take();
  const nowMs = wallMs();
  const times = {
    notBeforeMs: wholeSecond(nowMs - BACKDATE_MS),
    notAfterMs: wholeSecond(nowMs + wish.ttlSeconds * 1000),
  };
  const der = await createCertificateAsync({
    serial: BigInt(`0x${serial}`),
    issuerDer: issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: certname }),
    spkiDer,
    extensions: wish.extensions(issuer, wish.subject),
    signingKey: signer.key,
    ...times,
  });
  const value: CertValue = {
    certname,
    der: der.toString("base64"),
    notBefore: isoTime(times.notBeforeMs),
    notAfter: isoTime(times.notAfterMs),
    signedBy: member,
    at: isoTime(nowMs),
  };
  const put = { put: certKey(serial), value: encodeValue(value) };
  const commit: Commit = {
    when: [{ key: put.put, is: "absent" }, ...wish.when],
    then: [put, { put: nameKey(certname), value: encodeValue({ serial }) }, ...wish.then],
    settle: { key: put.put, value: put.value },
  };
  const done = await store.commit(commit, wish.signal);
  if (!done.ok) {
    signer.blocks.giveBack(serial);
    return undefined;
  }
  const { revision, touched } = done;
  return { ok: true, certname, serial, der, notAfterMs: times.notAfterMs, revision, touched };
}

function noRequest(certname: string): Signed {
  const because = `Cannot sign certificate for host ${certname} without a certificate request`;
  return { ok: false, why: "no-request", because };
}

function busy(certname: string): Fault {
  return new Fault("ca.busy", `${certname} was changed ${TRIES_MAX} times in between: try again`);
}
