// Which certificate is meant, in a form that HAProxy computes per request and we compute
// beforehand. The idea: issuer and serial name a certificate for ever; a hash of the issuer's text
// keeps keys short. Danger: if the two computations differ for one certificate, its revocation
// never takes effect.

import { createHash } from "node:crypto";
import { Fault } from "../base/fault.ts";

const ISSUER_BYTES = 8;

/** The key of an issuer, from the RFC 2253 text of its name: 16 hexadecimal digits. */
export function issuerKey(issuerDn: string): string {
  const digest = createHash("sha256").update(issuerDn).digest();
  return digest.subarray(0, ISSUER_BYTES).toString("hex").toUpperCase();
}

/** What `revocationKey` makes, and nothing that HAProxy would read as a second command. */
export const REVOCATION_KEY = /^[0-9A-F]{16}:[0-9A-F]{1,64}$/;

/**
 * The line of revoked.acl for a certificate. `serial` is hexadecimal, in any case, with or without
 * leading zeros. Throws Fault `edge.serial` for anything else.
 */
export function revocationKey(issuerDn: string, serial: string): string {
  return keyOf(issuerKey(issuerDn), serial);
}

/** The lines of many certificates of one issuer, whose name is hashed once. */
export function revocationKeys(issuerDn: string, serials: readonly string[]): string[] {
  const issuer = issuerKey(issuerDn);
  return serials.map((serial) => keyOf(issuer, serial));
}

function keyOf(issuer: string, serial: string): string {
  if (!/^[0-9a-f]+$/i.test(serial)) {
    throw new Fault("edge.serial", `"${serial}" is no serial number in hexadecimal digits`);
  }
  const digits = serial.toUpperCase().replace(/^0+(?=.)/, "");
  return `${issuer}:${digits.length % 2 === 0 ? digits : `0${digits}`}`;
}
