// Fingerprints as Puppet prints them: upper-case hexadecimal pairs joined by colons, over the DER.
// Written byte by byte: a list of 20,000 certificates has 60,000 of them.

import { hash } from "node:crypto";

export type FingerprintAlgorithm = "SHA1" | "SHA256" | "SHA512";

const COLON = 0x3a;
/** Room for the longest digest that is printed. */
const text = Buffer.alloc(64 * 3);

/** The fingerprint of encoded bytes, such as "AB:CD:…". */
export function fingerprint(der: Uint8Array, algorithm: FingerprintAlgorithm = "SHA256"): string {
  const hex = hash(algorithm.toLowerCase(), der, "hex");
  let to = 0;
  for (let at = 0; at < hex.length; at += 2) {
    text[to] = upper(hex.charCodeAt(at));
    text[to + 1] = upper(hex.charCodeAt(at + 1));
    text[to + 2] = COLON;
    to += 3;
  }
  return text.toString("latin1", 0, to - 1);
}

/** a to f become A to F; digits lie below. */
function upper(code: number): number {
  return code > 0x60 ? code - 0x20 : code;
}

/** The `fingerprints` object of puppet-ca/v1: all three, `default` being SHA-256. */
export function fingerprints(der: Uint8Array): Record<FingerprintAlgorithm | "default", string> {
  const sha256 = fingerprint(der, "SHA256");
  return {
    SHA1: fingerprint(der, "SHA1"),
    SHA256: sha256,
    SHA512: fingerprint(der, "SHA512"),
    default: sha256,
  };
}
