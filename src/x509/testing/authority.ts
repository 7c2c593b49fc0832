// A small certificate authority for tests, in the shape of Puppet's: issuing CA, leaf, list.

import type { KeyObject } from "node:crypto";
import { createCertificate } from "../certificate.ts";
import { authorityKeyIdentifier, basicConstraints, type Extension } from "../extensions.ts";
import { extendedKeyUsage, keyUsage, netscapeComment, puppetExtension } from "../extensions.ts";
import { subjectAltName, subjectKeyIdentifier } from "../extensions.ts";
import { keyIdOf, spkiOf } from "../keys.ts";
import { nameOf } from "../name.ts";
import { OID } from "../oids.ts";

/** 2026-01-02 03:04:05 UTC. */
export const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);
const DAY_MS = 86_400_000;

/** A self-signed CA of `key`, valid from a day before NOW_MS for 30 years (beyond 2049). */
export function authority(key: KeyObject, serial = 1n) {
  const issuerDer = nameOf({ commonName: "Puppet CA: s1.lab.test" });
  const spkiDer = spkiOf(key);
  const keyId = keyIdOf(spkiDer);
  const make = (parts: {
    serial: bigint;
    subjectDer: Buffer;
    spkiDer: Buffer;
    days: number;
    extensions: Extension[];
  }): Buffer =>
    createCertificate({
      ...parts,
      issuerDer,
      notBeforeMs: NOW_MS - DAY_MS,
      notAfterMs: NOW_MS + parts.days * DAY_MS,
      signingKey: key,
    });
  const der = make({
    serial,
    subjectDer: issuerDer,
    spkiDer,
    days: 30 * 365,
    extensions: [
      basicConstraints({ ca: true }),
      keyUsage(["keyCertSign", "cRLSign"]),
      subjectKeyIdentifier(spkiDer),
      netscapeComment(),
      authorityKeyIdentifier({ keyId }),
    ],
  });
  /** An agent's certificate in the exact profile of Puppet Server. */
  const leaf = (leafKey: KeyObject, commonName = "web7.example.com", leafSerial = 0xabcn) =>
    make({
      serial: leafSerial,
      subjectDer: nameOf({ commonName }),
      spkiDer: spkiOf(leafKey),
      days: 5 * 365,
      extensions: [
        subjectAltName([
          { type: "IP", value: "10.88.0.21" },
          { type: "DNS", value: "puppet" },
          { type: "DNS", value: commonName },
        ]),
        netscapeComment(),
        authorityKeyIdentifier({ keyId, issuerDer, serial }),
        subjectKeyIdentifier(spkiOf(leafKey)),
        puppetExtension("pp_role", "web+db"),
        basicConstraints({ ca: false }),
        extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
        keyUsage(["digitalSignature", "keyEncipherment"]),
      ],
    });
  return { key, der, issuerDer, keyId, serial, make, leaf };
}
