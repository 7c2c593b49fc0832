// What people and clients do with the authority: sign, revoke, clean, submit, forget. Each returns
// when the change is in the record, in this server's CA directory, and as far as it can be, on a
// second server and at the edges; how far that was is part of the answer.

import { isIP } from "node:net";
import { printable } from "../base/printable.ts";
import { type Certificate, certificatePem } from "../x509/certificate.ts";
import { isCertname } from "./certname.ts";
import { eachAtOnce } from "./directory.ts";
import { signGenerated } from "./generate.ts";
import { lookUp } from "./look-up.ts";
import { afterSome, copiesOf, type Outcome, type Result } from "./outcome.ts";
import { createTurns } from "./pieces.ts";
import { readRequest } from "./policy.ts";
import { canSign, type Core } from "./core.ts";
import { type ParentCrls, replaceParentCrls } from "./parent-crls.ts";
import type { Subject } from "./profile.ts";
import { REQUEST_PREFIX } from "./record.ts";
import { renew, signServer, signWaiting, type Signed, type SignOptions } from "./sign.ts";
import type { ReadOptions } from "./store.ts";
import { submit, type Submission, type Submitted } from "./submit.ts";
import { cleanNames, forgetName, type Revoke, revokeCertificates } from "./withdraw.ts";

const SIGN_AT_ONCE = 8;

/** A member's own certificate that is to be signed. */
export interface ServerCertificate {
  certname: string;
  /** The public key, as spkiOf gives it. */
  spkiDer: Uint8Array;
  /** Names and addresses; the certname is added by itself. */
  altNames: readonly string[];
  /** Default: as agents' certificates. */
  ttlSeconds?: number;
}

export type Operations = ReturnType<typeof createOperations>;

/** The operations of the authority whose parts are `core`. */
export function createOperations(core: Core) {
  // Anybody may send a request that takes 20 ms to read: a crowd of them must not hold up all else.
  const turn = createTurns();
  return {
    /**
     * Signs the requests that wait for these names. Throws Fault `ca.clock-off`, `ca.no-key`,
     * `etcd.…`.
     */
    sign: (names: readonly string[], options: SignOptions = {}) => signNames(core, names, options),
    /** Signs every request that waits, on whichever server it came in. */
    async signAll(options: SignOptions = {}): Promise<Outcome> {
      await core.store.reload(REQUEST_PREFIX);
      return signNames(core, [...core.mirror.tables.requests.names()].sort(), options);
    },
    /** Revokes by name (its certificate, and older ones still in force) or by serial. */
    revoke: (what: Revoke) => revokeCertificates(core, what),
    /** Revokes and forgets the names, so that they can be requested anew. See cleanNames. */
    clean: (names: readonly string[], options: { requests?: boolean } = {}) =>
      cleanNames(core, names, options),
    /** Forgets a name's certificate and request without revoking. False: there was nothing. */
    forget: (name: string, what: "all" | "request") => forgetName(core, name, what),
    /** Takes a request in; what was decided is in the record and on disk when it resolves. */
    async submit(submission: Submission): Promise<Submitted> {
      await turn();
      return submitRequest(core, submission);
    },
    /** Signs anew what the holder of `certificate` has, with the renewal's time to live. */
    renew: (certificate: Certificate) => renewCertificate(core, certificate),
    /** Takes in newer CRLs of the CAs above ours: PEM, as many as are given. */
    updateParentCrls: (pem: string) => updateParentCrls(core, pem),
    /** Signs an administrator's own request at once, alt names and all. */
    generate: (pem: string) => generateCertificate(core, pem),
    signServerCertificate: (wish: ServerCertificate) => signServerCertificate(core, wish),
    /** Brings these names' certificates and requests into memory as they are now. */
    lookUp: (names: readonly string[], options: ReadOptions = {}) => lookUp(core, names, options),
  };
}

async function signNames(
  core: Core,
  names: readonly string[],
  options: SignOptions,
): Promise<Outcome> {
  const signer = core.signer();
  const results = new Map<string, Result>();
  let revision = 0;
  let failed = false;
  const asked = [...new Set(names)];
  await eachAtOnce(asked, SIGN_AT_ONCE, async (name) => {
    // Where etcd doesn't answer each would wait for it anew: thousands would take hours.
    if (failed) return;
    try {
      const signed: Signed = isCertname(name)
        ? await signWaiting(signer, name, options)
        : { ok: false, why: "no-request", because: `"${printable(name)}" is no certname` };
      if (signed.ok) {
        await core.publisher.publish(signed.touched);
        revision = Math.max(revision, signed.revision);
      }
      results.set(name, resultOf(name, signed));
    } catch (error) {
      failed = true;
      throw error;
    }
  }).catch((error: unknown) => {
    const done = [...results.values()].filter(({ ok }) => ok).length;
    throw afterSome(error, done, asked.length, "signed");
  });
  const sorted = asked.flatMap((name) => results.get(name) ?? []);
  return { results: sorted, ...(await copiesOf(core, revision)) };
}

/**
 * Signs what autosign has let through on a server that couldn't sign just then. Returns their
 * names; none while this server can't sign either.
 */
export async function signApproved(core: Core): Promise<string[]> {
  if (!canSign(core)) return [];
  const waiting = [...core.mirror.tables.requests.rows()].filter(({ approved }) => approved);
  if (waiting.length === 0) return [];
  const { results } = await signNames(
    core,
    waiting.map(({ certname }) => certname),
    {},
  );
  return results.filter(({ ok }) => ok).map(({ name }) => name);
}

async function submitRequest(core: Core, submission: Submission): Promise<Submitted> {
  const { log, program } = core.deps;
  const judge = { ...core.judge(), log, program, signer: core.signer };
  const submitted = await submit(judge, submission);
  if (submitted.outcome === "signed") {
    await core.publisher.publish(submitted.issued.touched);
    await copiesOf(core, submitted.issued.revision);
    return submitted;
  }
  const kept = submitted.outcome === "waiting" ? submitted : submitted.kept;
  if (kept !== undefined) await core.publisher.publish(kept.touched);
  return submitted;
}

async function renewCertificate(core: Core, certificate: Certificate): Promise<Signed> {
  const signed = await renew(core.signer(), certificate);
  if (!signed.ok) return signed;
  await core.publisher.publish(signed.touched);
  await copiesOf(core, signed.revision);
  return signed;
}

async function generateCertificate(core: Core, pem: string) {
  const parsed = readRequest(pem);
  if (parsed.ok) await lookUp(core, [parsed.read.certname], { forChange: true });
  const { certname, der, issued } = await signGenerated(core.signer(), pem);
  if (issued !== undefined) await core.publisher.publish(issued.touched);
  const copies = await copiesOf(core, issued?.revision ?? core.mirror.revision);
  return { certname, pem: certificatePem(der), ...copies };
}

async function updateParentCrls(core: Core, pem: string): Promise<ParentCrls> {
  const { outcome, revision, touched } = await replaceParentCrls(core.store, pem);
  if (touched === undefined) return outcome;
  await core.publisher.publish(touched);
  await copiesOf(core, revision);
  return outcome;
}

/**
 * Signs a member's own Puppet certificate, as setup needs it: it may administer the CA and has
 * these alt names. What the name had before is replaced, not revoked.
 */
async function signServerCertificate(core: Core, wish: ServerCertificate) {
  const { certname, spkiDer, altNames } = wish;
  const { ttlSeconds = core.deps.settings().caTtlSeconds } = wish;
  const subject: Subject = {
    certname,
    spkiDer,
    altNames: altNames.map((value) => ({ type: isIP(value) === 0 ? "DNS" : "IP", value })),
    altNamesCritical: false,
    extensions: [],
  };
  const issued = await signServer(core.signer(), subject, ttlSeconds);
  await core.publisher.publish(issued.touched);
  const pem = certificatePem(issued.der);
  return { serial: issued.serial, pem, ...(await copiesOf(core, issued.revision)) };
}

function resultOf(name: string, signed: Signed): Result {
  if (signed.ok) return { name, ok: true, because: "", serial: signed.serial };
  const { why, because } = signed;
  return { name, ok: false, why, because };
}
