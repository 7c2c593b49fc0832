// The issuing CA as its public bundle describes it: what goes into every certificate and CRL, and
// who may call himself its child. The private key is a thing apart, see signer.ts.

import type { KeyObject } from "node:crypto";
import { Fault } from "../base/fault.ts";
import {
  parseCertificates,
  publicKeyOf,
  subjectKeyId,
  verifySignature,
  type Certificate,
} from "../x509/certificate.ts";
import { keyIdOf } from "../x509/keys.ts";

export interface Issuer {
  /** The bytes of ca_crt.pem. */
  bundle: Buffer;
  /** The issuing CA first, then its parents. */
  certificates: Certificate[];
  certificate: Certificate;
  publicKey: KeyObject;
  keyId: Buffer;
}

/** The issuer whose bundle is `bundle`. Throws Fault `x509.…`, or `ca.bundle-empty`. */
export function readIssuer(bundle: Buffer): Issuer {
  const certificates = parseCertificates(bundle);
  const [certificate] = certificates;
  if (certificate === undefined) {
    throw new Fault("ca.bundle-empty", "ca_crt.pem has no certificate in it");
  }
  return {
    bundle,
    certificates,
    certificate,
    publicKey: publicKeyOf(certificate.spkiDer),
    keyId: subjectKeyId(certificate) ?? keyIdOf(certificate.spkiDer),
  };
}

/** Whether `certificate` names this issuer and its signature is the issuer's. */
export function isIssuedBy(certificate: Certificate, issuer: Issuer): boolean {
  return (
    certificate.issuerDer.equals(issuer.certificate.subjectDer) &&
    verifySignature(certificate, issuer.publicKey)
  );
}
