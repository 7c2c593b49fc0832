// What stock's CA revokes after the cluster's has ended: its CRL is the only word of it. Danger: a
// list that the CA's key didn't sign, or an older one, would let a revoked certificate in.

import { Fault } from "../base/fault.ts";
import { parseCrl } from "../x509/crl.ts";
import { ejectedOf, type Core } from "./core.ts";
import { readPublishedCrl, type PublishedCrl } from "./crl.ts";
import { isSerial, serialOf, type Serial } from "./serial.ts";

/** A certificate that counts no more. */
export interface Revocation {
  serial: Serial;
  /** The first CRL that has it. */
  number: number;
  certname: string | null;
}

/**
 * Takes stock's CRL for the newest one. Throws Fault `ca.crl-refused` where the CA's key didn't
 * sign it, `ca.crl-older` where a newer one was seen.
 */
export async function followStock(core: Core, pem: Buffer): Promise<void> {
  const before = core.publisher.crl();
  if (before?.pem.equals(pem) === true) return;
  const crl = readPublishedCrl(pem, core.issuer());
  if (crl === undefined) {
    throw new Fault("ca.crl-refused", "stock's CRL has no list that the CA's key signed");
  }
  if (before !== undefined && crl.number < before.number) {
    throw new Fault(
      "ca.crl-older",
      `stock's CRL is number ${crl.number}, ${before.number} is known`,
    );
  }
  await core.publisher.take(crl);
}

/** Every revocation there is, oldest first; after the CA has ended, those of stock's CRL too. */
export function revocationsOf(core: Core): Revocation[] {
  const { mirror, publisher } = core;
  const own = mirror
    .revocations()
    .map(({ serial, number, certname }) => ({ serial, number, certname }));
  const crl = ejectedOf(core) === undefined ? undefined : publisher.crl();
  if (crl === undefined) return own;
  const { revoked } = mirror.tables;
  const fresh = entriesOf(crl).filter((serial) => !revoked.has(serial));
  return [...own, ...fresh.map((serial) => ({ serial, number: crl.number, certname: null }))];
}

/** Serials of a CRL, each once; one of 50,000 entries is read once. */
const parsed = new WeakMap<PublishedCrl, Serial[]>();

function entriesOf(crl: PublishedCrl): Serial[] {
  const known = parsed.get(crl);
  if (known !== undefined) return known;
  const { entries } = parseCrl(crl.der);
  const serials = [
    ...new Set(entries.flatMap(({ serial }) => (isSerial(serial) ? [serialOf(serial)] : []))),
  ];
  parsed.set(crl, serials);
  return serials;
}
