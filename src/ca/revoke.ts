// Revoking: what is asked while a CRL is being signed goes into the next one together.
// A revocation stands once it is in the record; that the edges know is confirmed apart.

import { Fault } from "../base/fault.ts";
import {
  completeRevocations,
  issueCrl,
  REVOKE_AT_ONCE,
  type CrlSigner,
  type NewRevocation,
} from "./crl-issue.ts";
import { noRecord } from "./blocks.ts";
import { crlKey } from "./record.ts";
import type { Touched } from "./mirror.ts";
import type { Serial } from "./serial.ts";

/** RFC 5280's keyCompromise, which Puppet gives to every entry. */
const KEY_COMPROMISE = 1;
/** Attempts while other members revoke too. */
const TRIES_MAX = 50;

export interface Revoker {
  /**
   * Revokes serials; those that are revoked already are left as they are. Resolves when all are in
   * the record, with the newest revision that did it (0: nothing was left to do).
   */
  revoke(serials: readonly Serial[]): Promise<{ revision: number }>;
  /** Signs a new CRL if the newest is older than `olderThanMs`. Returns whether it did. */
  refresh(olderThanMs: number, nowMs: number): Promise<boolean>;
}

interface Asked {
  serials: readonly Serial[];
  resolve: (result: { revision: number }) => void;
  reject: (error: unknown) => void;
}

export interface RevokerDeps {
  /** What signs; throws when this server may not sign now. */
  signer: () => CrlSigner;
  /** Brings a new CRL to this server's disk. */
  publish: (touched: Touched) => Promise<unknown>;
}

/** A revoker; what it resolves is published on this server. */
export function createRevoker(deps: RevokerDeps): Revoker {
  let asked: Asked[] = [];
  let running: Promise<void> | undefined;

  const run = async () => {
    while (asked.length > 0) {
      const batch = asked;
      asked = [];
      try {
        const serials = [...new Set(batch.flatMap(({ serials }) => serials))];
        const revision = await revokeAll(deps, serials);
        for (const { resolve } of batch) resolve({ revision });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = undefined;
  };
  return {
    revoke(serials) {
      const done = new Promise<{ revision: number }>((resolve, reject) => {
        asked.push({ serials, resolve, reject });
      });
      running ??= run();
      return done;
    },
    async refresh(olderThanMs, nowMs) {
      const able = deps.signer();
      const { crlHead, crls } = able.store.mirror.tables;
      await completeRevocations(able.store);
      const number = crlHead.get("")?.number;
      if (number === undefined) throw noRecord();
      const newest = crls.get(crlKey(number).slice(crls.prefix.length));
      if (newest !== undefined && nowMs - Date.parse(newest.thisUpdate) < olderThanMs) return false;
      const done = await issueCrl(able, { number: number + 1, revoke: [] });
      if (done.ok) await deps.publish(done.touched);
      return done.ok;
    },
  };
}

async function revokeAll(deps: RevokerDeps, serials: readonly Serial[]): Promise<number> {
  const signer = deps.signer();
  const { tables } = signer.store.mirror;
  let revision = 0;
  for (let tries = 0; tries < TRIES_MAX;) {
    const left = serials.filter((serial) => !tables.revoked.has(serial));
    if (left.length === 0) return revision;
    await completeRevocations(signer.store);
    const number = tables.crlHead.get("")?.number;
    if (number === undefined) throw noRecord();
    const revoke = left.slice(0, REVOKE_AT_ONCE).map((serial): NewRevocation => {
      const cert = tables.certs.get(serial);
      return {
        serial,
        certname: cert?.certname ?? null,
        notAfterMs: cert?.notAfterMs,
        reason: KEY_COMPROMISE,
      };
    });
    const done = await issueCrl(signer, { number: number + 1, revoke });
    if (!done.ok) {
      tries += 1;
      continue;
    }
    revision = done.revision;
    await deps.publish(done.touched);
  }
  throw new Fault("ca.busy", `other servers revoked ${TRIES_MAX} times in between: try again`);
}
