// A new CRL: revocations and the number that they get, in one transaction. Whoever loses the
// compare on the newest number decides anew, so numbers only grow and none has two contents.

import { createHash, type KeyObject } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { createCrlAsync } from "../x509/crl.ts";
import { countEntries, crlContent } from "./crl.ts";
import type { Issuer } from "./issuer.ts";
import {
  CRL_HEAD_KEY,
  CRL_PREFIX,
  crlKey,
  encodeValue,
  REVOKED_PREFIX,
  revokedKey,
  type CrlValue,
  type RevokedValue,
} from "./record.ts";
import { compareSerials, type Serial } from "./serial.ts";
import { unchanged, type Committed, type Store } from "./store.ts";
import { revokedRow } from "./tables.ts";

/** Revocations that one transaction takes: etcd's default allows 128 operations. */
export const REVOKE_AT_ONCE = 100;
/** How many numbers back the record keeps a CRL's hash and signature. */
const CRLS_KEPT = 1000;
/** Stock's lifetime of a CRL in calendar years. */
const CRL_YEARS = 5;
/** How long the watch gets to bring what another server revoked, in milliseconds. */
const WATCH_MS = 500;
const WATCH_POLL_MS = 10;

export interface CrlSigner {
  store: Store;
  issuer: Issuer;
  key: KeyObject;
}

/** A serial to be revoked: its entry but for the number. */
export interface NewRevocation {
  serial: Serial;
  certname: string | null;
  notAfterMs: number | undefined;
  reason: number;
}

/**
 * Makes sure that memory has every revocation of the newest CRL; without one of them the next CRL
 * would be another one here than everywhere else. Throws Fault `ca.crl-mismatch` if the record
 * lacks some.
 */
export async function completeRevocations(store: Store): Promise<void> {
  const { tables } = store.mirror;
  await store.ensureLoaded();
  const head = tables.crlHead.get("")?.number;
  if (head === undefined) return;
  const key = crlKey(head);
  if (!tables.crls.has(key.slice(CRL_PREFIX.length))) await store.refresh([key]);
  const crl = tables.crls.get(key.slice(CRL_PREFIX.length));
  const lacking = () =>
    crl === undefined ? 0 : crl.count - countEntries(crl, store.mirror.revocations());
  const end = monotonicMs() + WATCH_MS;
  // The watch usually brings them within milliseconds; reading all of them anew is for when it is
  // down.
  while (lacking() > 0 && monotonicMs() < end) await pause(WATCH_POLL_MS);
  if (lacking() > 0) await store.reload(REVOKED_PREFIX);
  if (lacking() === 0) return;
  throw new Fault(
    "ca.crl-mismatch",
    `CRL ${head} has ${crl?.count ?? 0} entries, the record ${(crl?.count ?? 0) - lacking()}`,
    { hints: ["No CRL is signed on top of it. Look at the record's ca/revoked/."] },
  );
}

/** Signs CRL `number` with what is revoked already and `revoke`, and commits it. */
export async function issueCrl(
  { store, issuer, key }: CrlSigner,
  { number, revoke }: { number: number; revoke: readonly NewRevocation[] },
): Promise<Committed> {
  const { mirror } = store;
  const { crlHead, crls } = mirror.tables;
  const was = crlHead.revisionOf("");
  const fresh = revoke
    .map((one) => ({ serial: one.serial, value: revokedValue(one, number) }))
    .sort((a, b) => compareSerials(a.serial, b.serial));
  const added = fresh.map(({ serial, value }) => revokedRow(serial, value));
  const rows = [...mirror.revocations(), ...added];
  const before = crls.get(crlKey(number - 1).slice(crls.prefix.length));
  const times = crlTimes(wallMs(), before);
  const { count, ...content } = crlContent(issuer, { number, ...times }, rows);
  const { der, signature } = await createCrlAsync({ ...content, signingKey: key });
  const value: CrlValue = {
    number,
    ...times,
    count,
    sha256: createHash("sha256").update(der).digest("hex"),
    signature: signature.toString("base64"),
  };
  const text = encodeValue(value);
  const old = crlKey(Math.max(0, number - CRLS_KEPT));
  return store.commit({
    when: [unchanged(CRL_HEAD_KEY, was)],
    then: [
      ...fresh.map(({ serial, value }) => ({ put: revokedKey(serial), value: encodeValue(value) })),
      { put: crlKey(number), value: text },
      { put: CRL_HEAD_KEY, value: encodeValue({ number }) },
      ...(number > CRLS_KEPT ? [{ delete: old }] : []),
    ],
    settle: { key: crlKey(number), value: text },
  });
}

function revokedValue(one: NewRevocation, number: number): RevokedValue {
  const { certname, notAfterMs, reason } = one;
  return {
    number,
    at: toSecond(wallMs()),
    reason,
    certname,
    ...(notAfterMs === undefined ? {} : { notAfter: isoTime(notAfterMs) }),
  };
}

/** A second ago, so that no agent finds it in the future; never before the CRL that it follows. */
function crlTimes(nowMs: number, before: CrlValue | undefined) {
  const thisMs = Math.max(nowMs - 1000, before === undefined ? 0 : Date.parse(before.thisUpdate));
  const next = new Date(thisMs);
  next.setUTCFullYear(next.getUTCFullYear() + CRL_YEARS);
  return { thisUpdate: toSecond(thisMs), nextUpdate: toSecond(next.getTime()) };
}

function toSecond(ms: number): string {
  return isoTime(Math.floor(ms / 1000) * 1000);
}
