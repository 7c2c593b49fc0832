// What people and clients do with the authority: sign, revoke, clean, submit, forget. Each returns
// when the change is in the record, in this server's CA directory, and as far as it can be, on a
// second server and at the edges; how far that was is part of the answer.

import { isIP } from "node:net";
import { Fault, messageOf } from "../base/fault.ts";
import { wallMs } from "../host/clock.ts";
import { certificatePem } from "../x509/certificate.ts";
import type { AltName } from "../x509/extensions.ts";
import { isCertname } from "./certname.ts";
import { eachAtOnce } from "./directory.ts";
import type { Core } from "./core.ts";
import { certKey, nameKey, requestKey, REQUEST_PREFIX } from "./record.ts";
import type { Serial } from "./serial.ts";
import { signServer, signWaiting, type Signed, type SignOptions } from "./sign.ts";
import { unchanged, type Commit, type ReadOptions } from "./store.ts";
import { submit, type Submission, type Submitted } from "./submit.ts";

/** Names looked up in one transaction; each is one or two of its operations. */
const NAMES_AT_ONCE = 60;
const SIGN_AT_ONCE = 8;
/** Attempts at a removal while other servers change the same name. */
const REMOVE_TRIES_MAX = 20;

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
  const { store, publisher, deps } = core;
  const { log } = deps;
  const { tables } = store.mirror;

  const copiesOf = async (revision: number): Promise<Copies> => {
    const alone = { copies: 1, of: [deps.member] };
    if (revision === 0) return alone;
    return deps.confirmCopies(revision).catch((error) => {
      log.warn("whether a second server has the change is not known", { why: messageOf(error) });
      return alone;
    });
  };
  const finish = async (signed: Signed): Promise<void> => {
    if (signed.ok) await publisher.publish(signed.touched);
  };

  /** Brings these names' certificates and requests into memory as they are now. */
  const lookUp = async (names: readonly string[], options: ReadOptions = {}): Promise<void> => {
    for (let at = 0; at < names.length; at += NAMES_AT_ONCE) {
      const some = names.slice(at, at + NAMES_AT_ONCE).filter(isCertname);
      await store.refresh(
        some.flatMap((name) => [nameKey(name), requestKey(name)]),
        options,
      );
      const lacking = some.flatMap((name) => {
        const serial = tables.names.get(name)?.serial;
        return serial === undefined || tables.certs.has(serial) ? [] : [certKey(serial)];
      });
      await store.refresh(lacking, options);
    }
  };

  const sign = async (names: readonly string[], options: SignOptions = {}): Promise<Outcome> => {
    const signer = core.signer();
    const results = new Map<string, Result>();
    let revision = 0;
    await eachAtOnce([...new Set(names)], SIGN_AT_ONCE, async (name) => {
      const signed: Signed = isCertname(name)
        ? await signWaiting(signer, name, options)
        : { ok: false, why: "no-request", because: `"${name}" is no certname` };
      await finish(signed);
      if (signed.ok) revision = Math.max(revision, signed.revision);
      results.set(name, resultOf(name, signed));
    });
    const sorted = names.flatMap((name) => results.get(name) ?? []);
    return { results: sorted, ...(await copiesOf(revision)) };
  };

  /** The serials that "revoke this name" means: its certificate, and older ones still in force. */
  const serialsToRevoke = (name: string): Serial[] => {
    const current = tables.names.get(name)?.serial;
    const now = wallMs();
    return store.mirror.serialsOf(name).filter((serial) => {
      const inForce = (tables.certs.get(serial)?.notAfterMs ?? 0) > now;
      return serial === current || (inForce && !tables.revoked.has(serial));
    });
  };

  const revokeSerials = async (serials: readonly Serial[]) => {
    const { revision } = await core.revoker.revoke(serials);
    const copies = await copiesOf(revision);
    const edges = serials.length === 0 ? undefined : await deps.confirmEdges(serials);
    return { ...copies, ...(edges === undefined ? {} : { edges }) };
  };

  const revoke = async (what: {
    names?: readonly string[];
    serials?: readonly Serial[];
  }): Promise<Outcome> => {
    const names = [...new Set(what.names)];
    await lookUp(names);
    await store.refresh((what.serials ?? []).map(certKey));
    const all: Serial[] = [];
    const results: Result[] = [];
    for (const name of names) {
      const serials = isCertname(name) ? serialsToRevoke(name) : [];
      all.push(...serials);
      results.push(revokeResult(name, serials, tables.requests.has(name)));
    }
    for (const serial of what.serials ?? []) {
      const known = tables.certs.has(serial);
      if (known) all.push(serial);
      results.push(revokeResult(serial, known ? [serial] : [], false));
    }
    return { results, ...(await revokeSerials(all)) };
  };

  /** Deletes keys as they are now; tries again when one of them changed meanwhile. */
  const remove = async (keys: () => { key: string; revision: number }[]): Promise<number> => {
    for (let tries = 0; tries < REMOVE_TRIES_MAX; tries += 1) {
      const there = keys().filter(({ revision }) => revision > 0);
      if (there.length === 0) return 0;
      const commit: Commit = {
        when: there.map(({ key, revision }) => unchanged(key, revision)),
        then: there.map(({ key }) => ({ delete: key })),
      };
      const done = await store.commit(commit);
      if (!done.ok) continue;
      await publisher.publish(done.touched);
      return done.revision;
    }
    throw new Fault("ca.busy", "what is to be removed keeps changing: try again");
  };

  const clean = async (names: readonly string[]): Promise<Outcome> => {
    const outcome = await revoke({ names });
    let revision = 0;
    for (const { name, ok, serial } of outcome.results) {
      if (!ok) continue;
      const key = nameKey(name);
      // Only the certificate that was revoked: a newer one of the same name stays.
      const removed = await remove(() => {
        const same = tables.names.get(name)?.serial === serial;
        return same ? [{ key, revision: tables.names.revisionOf(name) }] : [];
      });
      revision = Math.max(revision, removed);
    }
    return revision === 0 ? outcome : { ...outcome, ...(await copiesOf(revision)) };
  };

  return {
    sign,
    revoke,
    clean,
    lookUp,
    /** Signs every request that waits, on whichever server it came in. */
    async signAll(options: SignOptions = {}): Promise<Outcome> {
      await store.reload(REQUEST_PREFIX);
      return sign([...tables.requests.names()].sort(), options);
    },
    /**
     * Signs a member's own Puppet certificate, as setup needs it: it may administer the CA and has
     * these alt names. What the name had before is replaced, not revoked.
     */
    async signServerCertificate(wish: ServerCertificate) {
      const { certname, spkiDer, altNames, ttlSeconds = deps.settings().caTtlSeconds } = wish;
      const subject = {
        certname,
        spkiDer,
        altNames: altNames.map(altNameOf),
        altNamesCritical: false,
        extensions: [],
      };
      const issued = await signServer(core.signer(), subject, ttlSeconds);
      await finish(issued);
      const pem = certificatePem(issued.der);
      return { serial: issued.serial, pem, ...(await copiesOf(issued.revision)) };
    },
    /** Takes a request in; what was decided is in the record and on disk when it resolves. */
    async submit(submission: Submission): Promise<Submitted> {
      const submitted = await submit({ ...core.judge(), log, signer: core.signer }, submission);
      if (submitted.outcome === "signed") {
        await finish(submitted.issued);
        await copiesOf(submitted.issued.revision);
      } else {
        const kept = submitted.outcome === "waiting" ? submitted : submitted.kept;
        if (kept !== undefined) await publisher.publish(kept.touched);
      }
      return submitted;
    },
    /** Forgets a name's certificate and request without revoking. False: there was nothing. */
    async forget(name: string, what: "all" | "request"): Promise<boolean> {
      if (!isCertname(name)) return false;
      await lookUp([name]);
      const revision = await remove(() => [
        { key: requestKey(name), revision: tables.requests.revisionOf(name) },
        ...(what === "all"
          ? [{ key: nameKey(name), revision: tables.names.revisionOf(name) }]
          : []),
      ]);
      await copiesOf(revision);
      return revision > 0;
    },
  };
}

function altNameOf(value: string): AltName {
  return { type: isIP(value) === 0 ? "DNS" : "IP", value };
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
