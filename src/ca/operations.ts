// What people and clients do with the authority: sign, revoke, clean, submit, forget. Each returns
// when the change is in the record, in this server's CA directory, and as far as it can be, on a
// second server and at the edges; how far that was is part of the answer.

import { isIP } from "node:net";
import { Fault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import { type Certificate, certificatePem } from "../x509/certificate.ts";
import { isCertname, printable } from "./certname.ts";
import { eachAtOnce } from "./directory.ts";
import { signGenerated } from "./generate.ts";
import { wasGivenBefore } from "./given.ts";
import { readRequest } from "./policy.ts";
import { canSign, type Core } from "./core.ts";
import { type ParentCrls, replaceParentCrls } from "./parent-crls.ts";
import type { Subject } from "./profile.ts";
import { ensureKnown } from "./reconcile.ts";
import { certKey, nameKey, requestKey, REQUEST_PREFIX } from "./record.ts";
import type { Recorded } from "./revoke.ts";
import type { Serial } from "./serial.ts";
import { renew, signServer, signWaiting, type Signed, type SignOptions } from "./sign.ts";
import { unchanged, type ReadOptions } from "./store.ts";
import { submit, type Submission, type Submitted } from "./submit.ts";

/** Names looked up in one transaction; each is one or two of its operations. */
const NAMES_AT_ONCE = 60;
const SIGN_AT_ONCE = 8;
/**
 * How long the CRL waits for the edges, milliseconds. Building one of 50,000 entries takes its
 * time, and until they refuse it the certificate gets in; an edge that is gone must not hold it up.
 */
const EDGES_FIRST_MS = 1000;
const FOR_CHANGE = { forChange: true };
/** Attempts at a removal or a revocation while other servers change the same name. */
const TRIES_MAX = 20;

/** How many servers keep a durable copy of a change, and which. */
export interface Copies {
  copies: number;
  of: string[];
}

/** Which edges refuse the revoked serials now, and which couldn't say so. */
export interface EdgeReport {
  confirmed: string[];
  missing: { member: string; because: string }[];
}

export interface Result {
  name: string;
  ok: boolean;
  /** Empty when ok. */
  because: string;
  why?: "unknown" | "no-request" | "no-certificate" | "refused" | "failed";
  serial?: Serial;
}

export interface Outcome extends Copies {
  results: Result[];
  edges?: EdgeReport;
}

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
    revoke: (what: { names?: readonly string[]; serials?: readonly Serial[] }) =>
      revokeCertificates(core, what),
    /** Revokes and forgets the names, so that they can be requested anew. */
    clean: (names: readonly string[]) => cleanNames(core, names),
    /** Forgets a name's certificate and request without revoking. False: there was nothing. */
    forget: (name: string, what: "all" | "request") => forgetName(core, name, what),
    /** Takes a request in; what was decided is in the record and on disk when it resolves. */
    submit: (submission: Submission) => submitRequest(core, submission),
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
  await eachAtOnce([...new Set(names)], SIGN_AT_ONCE, async (name) => {
    const signed: Signed = isCertname(name)
      ? await signWaiting(signer, name, options)
      : { ok: false, why: "no-request", because: `"${printable(name)}" is no certname` };
    if (signed.ok) {
      await core.publisher.publish(signed.touched);
      revision = Math.max(revision, signed.revision);
    }
    results.set(name, resultOf(name, signed));
  });
  const sorted = [...new Set(names)].flatMap((name) => results.get(name) ?? []);
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
  if (parsed.ok) await lookUp(core, [parsed.read.certname], FOR_CHANGE);
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

async function revokeCertificates(
  core: Core,
  what: { names?: readonly string[]; serials?: readonly Serial[] },
): Promise<Outcome> {
  const { tables } = core.mirror;
  await core.store.refresh((what.serials ?? []).map(certKey), FOR_CHANGE);
  const known = (what.serials ?? []).filter(
    (serial) => tables.certs.has(serial) || wasGivenBefore(core.mirror, core.issuer(), serial),
  );
  const all = new Set(known);
  const bySerial = known.length === 0 ? undefined : await core.revoker.revoke(known);
  const byName = await revokeNames(core, [...new Set(what.names)], all);
  const { revision, touched } = newestOf(bySerial, byName.recorded);
  const results = [
    ...byName.results,
    ...(what.serials ?? []).map((serial) =>
      revokeResult(serial, all.has(serial) ? [serial] : [], false),
    ),
  ];
  if (all.size === 0) return { results, ...alone(core) };
  // Also when nothing was left to do: what is answered must hold on the second server and the
  // edges.
  const edges = core.deps.confirmEdges([...all]);
  edges.catch(() => undefined);
  await atMost(EDGES_FIRST_MS, edges);
  if (touched !== undefined) await core.publisher.publish(touched);
  const copies = await copiesOf(core, Math.max(revision, core.mirror.revision));
  return { results, ...copies, edges: await edges };
}

/** Each has the CRL's number among what it touched, so the newest one stands for all. */
function newestOf(...all: (Recorded | undefined)[]): Recorded {
  const nothing: Recorded = { revision: 0, touched: undefined };
  return all.reduce<Recorded>(
    (newest, one) => (one !== undefined && one.revision > newest.revision ? one : newest),
    nothing,
  );
}

/** Waits for `work`, but no longer than `ms`. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  await Promise.race([work.catch(() => undefined), pause(ms, over.signal)]);
  over.abort();
}

/**
 * Revokes what these names have, and adds the serials to `all`. A renewal may come in between two
 * looks; what it made is found by the next one. A look counts only when memory has all that the
 * names were given before it: `lookUp` brings the newest certificate, and older ones are in force
 * too.
 */
async function revokeNames(core: Core, names: readonly string[], all: Set<Serial>) {
  const { requests } = core.mirror.tables;
  let recorded: Recorded | undefined;
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    await lookUp(core, names, FOR_CHANGE);
    await ensureKnown(core, newestChange(core, names, recorded));
    const found = names.map((name) => ({
      name,
      serials: isCertname(name) ? serialsToRevoke(core, name) : [],
    }));
    const left = found.flatMap(({ serials }) => serials.filter((serial) => !all.has(serial)));
    if (left.length === 0) {
      const results = found.map(({ name, serials }) =>
        revokeResult(name, serials, requests.has(name)),
      );
      return { recorded, results };
    }
    recorded = newestOf(recorded, await core.revoker.revoke(left));
    for (const serial of left) all.add(serial);
  }
  throw new Fault("ca.busy", "what is to be revoked keeps being renewed: try again");
}

/** The newest revision known to have changed one of `names`, or `recorded` something. */
function newestChange({ mirror }: Core, names: readonly string[], recorded?: Recorded): number {
  const given = mirror.tables.names;
  return names.reduce(
    (newest, name) => Math.max(newest, given.revisionOf(name)),
    recorded?.revision ?? 0,
  );
}

/** The serials that "revoke this name" means: its certificate, and older ones still in force. */
function serialsToRevoke({ mirror }: Core, name: string): Serial[] {
  const { names, certs, revoked } = mirror.tables;
  const current = names.get(name)?.serial;
  const now = wallMs();
  return mirror.serialsOf(name).filter((serial) => {
    const inForce = (certs.get(serial)?.notAfterMs ?? 0) > now;
    return serial === current || (inForce && !revoked.has(serial));
  });
}

async function cleanNames(core: Core, names: readonly string[]): Promise<Outcome> {
  const { tables } = core.mirror;
  const outcome = await revokeCertificates(core, { names });
  let revision = 0;
  for (const { name, ok, serial } of outcome.results) {
    if (!ok) continue;
    const removed = await removeKeys(core, () => {
      // Only the certificate that was revoked: a newer one of the same name stays.
      const same = tables.names.get(name)?.serial === serial;
      return same ? [{ key: nameKey(name), revision: tables.names.revisionOf(name) }] : [];
    });
    revision = Math.max(revision, removed);
  }
  return revision === 0 ? outcome : { ...outcome, ...(await copiesOf(core, revision)) };
}

async function forgetName(core: Core, name: string, what: "all" | "request"): Promise<boolean> {
  if (!isCertname(name)) return false;
  const { requests, names } = core.mirror.tables;
  await lookUp(core, [name], FOR_CHANGE);
  const revision = await removeKeys(core, () => {
    const request = { key: requestKey(name), revision: requests.revisionOf(name) };
    const certificate = { key: nameKey(name), revision: names.revisionOf(name) };
    return what === "all" ? [request, certificate] : [request];
  });
  await copiesOf(core, revision);
  return revision > 0;
}

/**
 * Deletes keys as they are now; tries again when one of them changed meanwhile. 0: none was there.
 */
async function removeKeys(
  { store, publisher }: Core,
  keys: () => { key: string; revision: number }[],
): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const there = keys().filter(({ revision }) => revision > 0);
    if (there.length === 0) return 0;
    const done = await store.commit({
      when: there.map(({ key, revision }) => unchanged(key, revision)),
      then: there.map(({ key }) => ({ delete: key })),
    });
    if (!done.ok) continue;
    await publisher.publish(done.touched);
    return done.revision;
  }
  throw new Fault("ca.busy", "what is to be removed keeps changing: try again");
}

async function lookUp(
  { store }: Core,
  names: readonly string[],
  options: ReadOptions = {},
): Promise<void> {
  const { tables } = store.mirror;
  for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
    const some = names.slice(at, at + NAMES_AT_ONCE).filter(isCertname);
    const keys = some.flatMap((name) => [nameKey(name), requestKey(name)]);
    await store.refresh(keys, options);
    const lacking = some.flatMap((name) => {
      const serial = tables.names.get(name)?.serial;
      return serial === undefined || tables.certs.has(serial) ? [] : [certKey(serial)];
    });
    await store.refresh(lacking, options);
  }
}

async function copiesOf(core: Core, revision: number): Promise<Copies> {
  if (revision === 0) return alone(core);
  return core.deps.confirmCopies(revision).catch((error) => {
    const why = messageOf(error);
    core.deps.log.warn("whether a second server has the change is not known", { why });
    return alone(core);
  });
}

function alone({ deps }: Core): Copies {
  return { copies: 1, of: [deps.member] };
}

function resultOf(name: string, signed: Signed): Result {
  if (signed.ok) return { name, ok: true, because: "", serial: signed.serial };
  const { why, because } = signed;
  return { name, ok: false, why, because };
}

function revokeResult(name: string, serials: readonly Serial[], waits: boolean): Result {
  const serial = serials.at(-1);
  if (serial !== undefined) return { name, ok: true, because: "", serial };
  if (!waits) return { name, ok: false, why: "unknown", because: "there is no such certificate" };
  const because = `Cannot revoke certificate for host ${name} without a signed certificate`;
  return { name, ok: false, why: "no-certificate", because };
}
