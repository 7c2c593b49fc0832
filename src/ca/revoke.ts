// Revoking: what is asked while a CRL is being signed goes into the next one together.
// A revocation stands once it is in the record; that the edges know is confirmed apart.

import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { parseCrls } from "../x509/crl.ts";
import { issueCrl, REVOKE_AT_ONCE, type CrlSigner, type NewRevocation } from "./crl-issue.ts";
import { noRecord } from "./blocks.ts";
import { crlOf, verifyHead, type CrlHead } from "./crl-head.ts";
import type { PublishedCrl } from "./crl.ts";
import { readRevoked } from "./import-read.ts";
import type { Touched } from "./mirror.ts";
import type { Serial } from "./serial.ts";

/** RFC 5280's keyCompromise, which Puppet gives to every entry. */
const KEY_COMPROMISE = 1;
/** Attempts while other members revoke too. */
const TRIES_MAX = 50;
/** How long the first of a burst waits for the others, since each CRL is signed whole. */
const GATHER_MS = 20;

export interface Revoker {
  /**
   * Revokes serials; those that are revoked already are left as they are. Resolves when all are in
   * the record, before the CRL is published here: edges come first.
   */
  revoke(serials: readonly Serial[]): Promise<Recorded>;
  /**
   * Signs a new CRL if the newest is older than `olderThanMs`, or can't be published any more.
   * Returns whether it did.
   */
  refresh(olderThanMs: number, nowMs: number): Promise<boolean>;
}

/** What brought revocations into the record. */
export interface Recorded {
  /** The newest one; 0: nothing was left to do. */
  revision: number;
  /** What is to be published here; undefined when nothing is. */
  touched: Touched | undefined;
}

interface Asked {
  serials: readonly Serial[];
  resolve: (result: Recorded) => void;
  reject: (error: unknown) => void;
}

export interface RevokerDeps {
  /** What signs; throws when this server may not sign now. */
  signer: () => CrlSigner;
  /** Brings a refreshed CRL to this server's disk. */
  publish: (touched: Touched) => Promise<unknown>;
  /** The newest CRL that is published here. */
  published: () => PublishedCrl | undefined;
}

/** The revoker of this server. */
export function createRevoker(deps: RevokerDeps): Revoker {
  let asked: Asked[] = [];
  let running: Promise<void> | undefined;

  const run = async () => {
    await pause(GATHER_MS);
    while (asked.length > 0) {
      const batch = asked;
      asked = [];
      try {
        const serials = [...new Set(batch.flatMap(({ serials }) => serials))];
        const recorded = await revokeAll(deps, serials);
        for (const { resolve } of batch) resolve(recorded);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = undefined;
  };
  return {
    revoke(serials) {
      const done = new Promise<Recorded>((resolve, reject) => {
        asked.push({ serials, resolve, reject });
      });
      running ??= run();
      return done;
    },
    async refresh(olderThanMs, nowMs) {
      const signer = deps.signer();
      const head = await newestHead(signer);
      const newest = crlOf(signer.store.mirror, head.number);
      const ageMs = newest === undefined ? Infinity : nowMs - Date.parse(newest.thisUpdate);
      if (head.whole && (ageMs < olderThanMs || signer.clock === "unconfirmed")) return false;
      const done = await issueCrl(signer, { head, revoke: lostEntries(deps, signer, head) });
      if (done.ok) await deps.publish(done.touched);
      return done.ok;
    },
  };
}

async function revokeAll(deps: RevokerDeps, serials: readonly Serial[]): Promise<Recorded> {
  const signer = deps.signer();
  const { tables } = signer.store.mirror;
  let recorded: Recorded = { revision: 0, touched: undefined };
  for (let tries = 0; tries < TRIES_MAX;) {
    const head = await newestHead(signer);
    // Only now: finding out about the newest CRL may have brought some of them.
    const left = serials.filter((serial) => !tables.revoked.has(serial));
    if (left.length === 0 && head.whole) return recorded;
    const asked = left.map((serial): NewRevocation => {
      const cert = tables.certs.get(serial);
      return {
        serial,
        certname: cert?.certname ?? null,
        notAfterMs: cert?.notAfterMs,
        reason: KEY_COMPROMISE,
      };
    });
    const revoke = [...lostEntries(deps, signer, head), ...asked].slice(0, REVOKE_AT_ONCE);
    const done = await issueCrl(signer, { head, revoke });
    if (!done.ok) {
      tries += 1;
      continue;
    }
    // Each has the CRL's number among what it touched, so the last one stands for all.
    recorded = { revision: done.revision, touched: done.touched };
  }
  throw new Fault("ca.busy", `other servers revoked ${TRIES_MAX} times in between: try again`);
}

async function newestHead({ store }: CrlSigner): Promise<CrlHead> {
  const head = await verifyHead(store);
  if (head.number === 0) throw noRecord();
  return head;
}

/**
 * Entries of the CRL published here that the record has lost, so that the next CRL has them again.
 * A record that doesn't account for its newest CRL must not end all revoking, and must not let a
 * revoked certificate back in either.
 */
function lostEntries(
  { published }: RevokerDeps,
  { store }: CrlSigner,
  head: CrlHead,
): NewRevocation[] {
  const crl = published();
  if (head.whole || crl === undefined) return [];
  const { revoked, certs } = store.mirror.tables;
  const own = parseCrls(crl.pem).find(({ der }) => der.equals(crl.der));
  const lost = readRevoked(own?.entries ?? []).flatMap(({ serial, atMs, reason }) => {
    const cert = certs.get(serial);
    if (revoked.has(serial)) return [];
    const certname = cert?.certname ?? null;
    return [{ serial, certname, notAfterMs: cert?.notAfterMs, reason, atMs }];
  });
  if (lost.length <= REVOKE_AT_ONCE) return lost;
  throw new Fault(
    "ca.crl-mismatch",
    `the record lacks ${lost.length} revocations of CRL ${crl.number}, which is published here`,
    { hints: ["No CRL is signed on top of it. Was the record restored from an old copy?"] },
  );
}
