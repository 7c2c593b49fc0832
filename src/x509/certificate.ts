// X.509 certificates: parsed and made (RFC 5280). The idea: a Certificate keeps the encoded parts
// that matter (names, key, extensions), so nothing is re-encoded on the way through.
// Danger: parsing trusts nothing, but proves nothing either; see verifySignature.

import type { KeyObject } from "node:crypto";
import { checkBits, contextConstructed, contextTag, type DerReader, derInteger } from "./der.ts";
import { derSequence, derValue, integerOf, malformed, readDer, TAG, unencodable } from "./der.ts";
import { extensionsOf } from "./extension-values.ts";
import { encodeExtensions, type Extension } from "./extensions.ts";
import { readSpki } from "./keys.ts";
import { attributeCount, commonNameOf, nameText, type Rdn, rdnsOf } from "./name.ts";
import { derFrom, dersFrom, encodePem } from "./pem.ts";
import { algorithmFor, algorithmIdentifier, assembleSigned, readSigned } from "./signed.ts";
import { type Signed, signTbs, signTbsAsync, verifySigned } from "./signed.ts";
import { derTime, timeOf } from "./time.ts";

export {
  authorityKeyId,
  extensionText,
  subjectAltNames,
  subjectKeyId,
} from "./extension-values.ts";
export { publicKeyOf } from "./keys.ts";

/** Most bytes of one certificate; thousands of alternative names fit. */
export const CERTIFICATE_BYTES_MAX = 256 * 1024;
const LABELS = ["CERTIFICATE", "X509 CERTIFICATE"];

/** A parsed certificate. Buffers are views into `der`; times are milliseconds since 1970. */
export interface Certificate extends Signed {
  serial: bigint;
  /** As OpenSSL prints it: upper case, an even number of digits. */
  serialHex: string;
  issuerDer: Buffer;
  subjectDer: Buffer;
  /** RFC 2253. */
  issuerText: string;
  subjectText: string;
  /** Only if the subject has exactly one common name and it decodes. */
  commonName: string | undefined;
  /** Attributes of the subject, those of a multi-valued RDN counted one by one. */
  subjectRdnCount: number;
  subjectRdns: readonly Rdn[];
  notBefore: number;
  notAfter: number;
  spkiDer: Buffer;
  extensions: Extension[];
}

/** What goes into a certificate. Extensions are written in the order given. */
export interface CertificateContent {
  serial: bigint;
  issuerDer: Uint8Array;
  subjectDer: Uint8Array;
  notBeforeMs: number;
  notAfterMs: number;
  spkiDer: Uint8Array;
  extensions: readonly Extension[];
  signingKey: KeyObject;
}

/** Parses one certificate, DER or PEM with exactly one block. Faults with `x509.malformed`. */
export function parseCertificate(derOrPem: Uint8Array | string): Certificate {
  return parse(derFrom(derOrPem, LABELS, CERTIFICATE_BYTES_MAX));
}

/**
 * The extensions of one certificate in DER, of which nothing else is read: for lists of thousands.
 * Faults with `x509.malformed`.
 */
export function extensionsIn(der: Uint8Array): Extension[] {
  const what = "certificate";
  const reader = readDer(der, what, CERTIFICATE_BYTES_MAX).inside(what).enter(TAG.sequence, what);
  for (;;) {
    const tag = reader.nextTag;
    if (tag === undefined) return [];
    const node = reader.next(what);
    if (tag === contextConstructed(3)) return extensionsOf(node.inside(what), what);
  }
}

/** Parses a bundle, in its order. */
export function parseCertificates(pem: Uint8Array | string): Certificate[] {
  return dersFrom(pem, LABELS).map(parse);
}

/** `BEGIN CERTIFICATE` around a certificate. */
export const certificatePem = (der: Uint8Array): string => encodePem("CERTIFICATE", der);

/** A serial as OpenSSL prints it: upper-case hexadecimal, an even number of digits. */
export function serialHexOf(serial: bigint): string {
  const digits = (serial < 0n ? -serial : serial).toString(16).toUpperCase();
  return `${serial < 0n ? "-" : ""}${digits.length % 2 === 0 ? "" : "0"}${digits}`;
}

/** Makes and signs a certificate; returns its DER. Blocks for the time of one signature. */
export function createCertificate(content: CertificateContent): Buffer {
  const tbsDer = encodeTbs(content);
  const signature = signTbs(tbsDer, content.signingKey);
  return assembleSigned(tbsDer, algorithmFor(content.signingKey), signature);
}

/** The same with the signature made on a thread, so that several can be made at once. */
export async function createCertificateAsync(content: CertificateContent): Promise<Buffer> {
  const tbsDer = encodeTbs(content);
  const signature = await signTbsAsync(tbsDer, content.signingKey);
  return assembleSigned(tbsDer, algorithmFor(content.signingKey), signature);
}

/** Whether the holder of `issuer` (a key or a SubjectPublicKeyInfo) signed this certificate. */
export function verifySignature(certificate: Signed, issuer: Uint8Array | KeyObject): boolean {
  return verifySigned(certificate, issuer);
}

function encodeTbs(content: CertificateContent): Buffer {
  const { serial, extensions } = content;
  if (serial < 0n || serial >= 1n << 159n) {
    throw unencodable(`serial ${serial} is outside 0 … 2^159 (RFC 5280 §4.1.2.2)`);
  }
  const tail =
    extensions.length === 0 ? [] : [derValue(contextConstructed(3), encodeExtensions(extensions))];
  return derSequence(
    derValue(contextConstructed(0), derInteger(2)),
    derInteger(serial),
    algorithmIdentifier(algorithmFor(content.signingKey)),
    content.issuerDer,
    derSequence(derTime(content.notBeforeMs), derTime(content.notAfterMs)),
    content.subjectDer,
    content.spkiDer,
    ...tail,
  );
}

function parse(der: Buffer): Certificate {
  const what = "certificate";
  const { tbs, algorithmDer, ...signed } = readSigned(der, what, CERTIFICATE_BYTES_MAX);
  const reader = tbs.inside(what);
  const version = reader.optional(contextConstructed(0), `${what}: version`);
  if (version !== undefined) readVersion(version.inside(`${what}: version`));
  const serial = integerOf(reader.expect(TAG.integer, `${what}: serial`), `${what}: serial`);
  const inner = reader.expect(TAG.sequence, `${what}: algorithm`);
  if (!inner.der.equals(algorithmDer)) throw malformed(`${what}: its two algorithms differ`);
  const issuer = reader.expect(TAG.sequence, `${what}: issuer`);
  const validity = reader.enter(TAG.sequence, `${what}: validity`);
  const notBefore = timeOf(validity.next(`${what}: notBefore`), `${what}: notBefore`);
  const notAfter = timeOf(validity.next(`${what}: notAfter`), `${what}: notAfter`);
  validity.finish(`${what}: validity`);
  const subject = reader.expect(TAG.sequence, `${what}: subject`);
  const spki = reader.expect(TAG.sequence, `${what}: public key`);
  readSpki(spki, `${what}: public key`);
  for (const number of [1, 2]) {
    const identifier = reader.optional(contextTag(number), `${what}: unique identifier`);
    if (identifier !== undefined) checkBits(identifier, `${what}: unique identifier`);
  }
  const wrapper = reader.optional(contextConstructed(3), `${what}: extensions`)?.inside(what);
  const extensions = wrapper === undefined ? [] : extensionsOf(wrapper, what);
  wrapper?.finish(`${what}: extensions`);
  reader.finish(what);
  const subjectRdns = rdnsOf(subject, `${what}: subject`);
  return {
    ...signed,
    serial,
    serialHex: serialHexOf(serial),
    issuerDer: issuer.der,
    subjectDer: subject.der,
    issuerText: nameText(rdnsOf(issuer, `${what}: issuer`)),
    subjectText: nameText(subjectRdns),
    commonName: commonNameOf(subjectRdns),
    subjectRdnCount: attributeCount(subjectRdns),
    subjectRdns,
    notBefore,
    notAfter,
    spkiDer: spki.der,
    extensions,
  };
}

function readVersion(reader: DerReader): void {
  const version = integerOf(reader.expect(TAG.integer, "version"), "certificate: version");
  reader.finish("certificate: version");
  if (version < 0n || version > 2n) throw malformed(`certificate has version ${version + 1n}`);
}
