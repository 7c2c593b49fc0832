// A new CRL: revocations and the number that they get, in one transaction. Whoever loses the
// compare on the newest number decides anew, so numbers only grow and none has two contents.

import { createHash, type KeyObject } from "node:crypto";
import type { Compare } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { createCrlAsync } from "../x509/crl.ts";
import { crlTimes, isoSecond, type ClockTrust } from "./clock.ts";
import { crlContent } from "./crl.ts";
import { crlOf, type CrlHead } from "./crl-head.ts";
import type { Issuer } from "./issuer.ts";
import {
  CRL_HEAD_KEY,
  crlKey,
  encodeValue,
  revokedKey,
  type CrlValue,
  type RevokedValue,
} from "./record.ts";
import { compareSerials, type Serial } from "./serial.ts";
import { unchanged, type Committed, type Store } from "./store.ts";
import { revokedRow } from "./tables.ts";

/** Revocations that one transaction takes; a foreign etcd allows 128 operations by default. */
export const REVOKE_AT_ONCE = 100;
/** How many numbers back the record keeps a CRL's hash and signature. */
const CRLS_KEPT = 1000;

export interface CrlSigner {
  store: Store;
  issuer: Issuer;
  key: KeyObject;
  clock: ClockTrust;
}

/** A serial to be revoked: its entry but for the number. */
export interface NewRevocation {
  serial: Serial;
  certname: string | null;
  notAfterMs: number | undefined;
  reason: number;
  /** When it was revoked, if not now. */
  atMs?: number;
}

/**
 * Signs the CRL that follows `head` with what is revoked already and `revoke`, and commits it.
 * `number`: a higher one than the next.
 */
export async function issueCrl(
  { store, issuer, key, clock }: CrlSigner,
  wish: { head: CrlHead; number?: number; revoke: readonly NewRevocation[] },
): Promise<Committed> {
  const { mirror } = store;
  const { head, number = head.number + 1 } = wish;
  const fresh = wish.revoke
    .map((one) => ({ serial: one.serial, value: revokedValue(one, number) }))
    .sort((a, b) => compareSerials(a.serial, b.serial));
  const added = fresh.map(({ serial, value }) => revokedRow(serial, value));
  // Of a later number there may be some in memory already; then the compare below fails.
  const rows = [...mirror.revocations().filter((row) => row.number < number), ...added];
  const times = crlTimes(wallMs(), crlOf(mirror, head.number), clock);
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
    when: [
      unchanged(CRL_HEAD_KEY, head.revision),
      ...fresh.map(({ serial }): Compare => ({ key: revokedKey(serial), is: "absent" })),
    ],
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
  const { certname, notAfterMs, reason, atMs = wallMs() } = one;
  return {
    number,
    at: isoSecond(atMs),
    reason,
    certname,
    ...(notAfterMs === undefined ? {} : { notAfter: isoTime(notAfterMs) }),
  };
}
