// Fingerprints as Puppet prints them: upper-case hexadecimal pairs joined by colons, over the DER.

import { createHash } from "node:crypto";

export type FingerprintAlgorithm = "SHA1" | "SHA256" | "SHA512";

/** The fingerprint of encoded bytes, such as "AB:CD:…". */
export function fingerprint(der: Uint8Array, algorithm: FingerprintAlgorithm = "SHA256"): string {
  const hex = createHash(algorithm.toLowerCase()).update(der).digest("hex").toUpperCase();
  return hex.replace(/..(?=.)/g, "$&:");
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
