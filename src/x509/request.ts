// PKCS#10 certificate requests (RFC 2986): parsed, verified, made. Requests come from anybody who
// can reach the port. Danger: a repeated extension or attribute is read differently by different
// parsers, so it is refused here once and for all.

import type { KeyObject } from "node:crypto";
import { checkAny } from "./any.ts";
import { contextConstructed, derInteger, derOid, derSequence, derSetOf, integerOf } from "./der.ts";
import { DerReader, malformed, oidOf, TAG } from "./der.ts";
import { extensionsOf } from "./extension-values.ts";
import { encodeExtensions, type Extension } from "./extensions.ts";
import { readSpki, spkiOf } from "./keys.ts";
import { attributeCount, commonNameOf, nameOf, nameText, type Rdn, rdnsOf } from "./name.ts";
import { OID } from "./oids.ts";
import { derFrom, encodePem } from "./pem.ts";
import { algorithmFor, assembleSigned, readSigned, signTbs } from "./signed.ts";
import { type Signed, verifySigned } from "./signed.ts";

/** Most bytes of one request. */
export const REQUEST_BYTES_MAX = 256 * 1024;
/** RFC 2986 has 0 alone; `puppetserver ca generate` writes 2, which belongs into certificates. */
const VERSIONS = [0n, 2n];
const LABELS = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/** One attribute; each value is encoded DER. */
export interface RequestAttribute {
  oid: string;
  values: Buffer[];
}

/** A parsed request. Buffers are views into `der`. */
export interface CertificateRequest extends Signed {
  subjectDer: Buffer;
  /** RFC 2253. */
  subjectText: string;
  /** Only if the subject has exactly one common name and it decodes. */
  commonName: string | undefined;
  /** Attributes of the subject, those of a multi-valued RDN counted one by one. */
  subjectRdnCount: number;
  subjectRdns: readonly Rdn[];
  spkiDer: Buffer;
  /** From the PKCS#9 attribute extensionRequest, its first value; [] when there is none. */
  requestedExtensions: Extension[];
  attributes: RequestAttribute[];
}

/** Parses one request, DER or PEM with exactly one block. Faults with `x509.malformed`. */
export function parseRequest(derOrPem: Uint8Array | string): CertificateRequest {
  const what = "certificate request";
  const der = derFrom(derOrPem, LABELS, REQUEST_BYTES_MAX);
  const { tbs, algorithmDer: _, ...signed } = readSigned(der, what, REQUEST_BYTES_MAX);
  const reader = tbs.inside(what);
  const version = integerOf(reader.expect(TAG.integer, `${what}: version`), `${what}: version`);
  if (!VERSIONS.includes(version)) {
    throw malformed(`${what} has version ${version + 1n}, only 1 exists`);
  }
  const subject = reader.expect(TAG.sequence, `${what}: subject`);
  const spki = reader.expect(TAG.sequence, `${what}: public key`);
  readSpki(spki, `${what}: public key`);
  // RFC 2986 wants the attributes even when empty; some old tools leave them out.
  const set = reader.optional(contextConstructed(0), `${what}: attributes`);
  const attributes = set === undefined ? [] : attributesOf(set.inside(what), what);
  reader.finish(what);
  const subjectRdns = rdnsOf(subject, `${what}: subject`);
  return {
    ...signed,
    subjectDer: subject.der,
    subjectText: nameText(subjectRdns),
    commonName: commonNameOf(subjectRdns),
    subjectRdnCount: attributeCount(subjectRdns),
    subjectRdns,
    spkiDer: spki.der,
    requestedExtensions: requestedExtensionsOf(attributes, what),
    attributes,
  };
}

/** Whether the request is signed by the key it asks a certificate for. */
export function verifyRequest(request: CertificateRequest): boolean {
  return verifySigned(request, request.spkiDer);
}

/** `BEGIN CERTIFICATE REQUEST` around a request. */
export const requestPem = (der: Uint8Array): string => encodePem("CERTIFICATE REQUEST", der);

/**
 * Makes and signs a request for `key` (private); returns it in PEM, the form in which it is sent.
 */
export function createRequest(options: {
  commonName: string;
  key: KeyObject;
  extensions?: readonly Extension[];
  attributes?: readonly RequestAttribute[];
}): string {
  const { commonName, key, extensions = [], attributes = [] } = options;
  const all = [...attributes];
  if (extensions.length > 0) {
    all.push({ oid: OID.extensionRequest, values: [encodeExtensions(extensions)] });
  }
  const encoded = all.map(({ oid, values }) => derSequence(derOid(oid), derSetOf(values)));
  const tbsDer = derSequence(
    derInteger(0),
    nameOf({ commonName }),
    spkiOf(key),
    derSetOf(encoded, contextConstructed(0)),
  );
  return requestPem(assembleSigned(tbsDer, algorithmFor(key), signTbs(tbsDer, key)));
}

function attributesOf(reader: DerReader, what: string): RequestAttribute[] {
  const attributes: RequestAttribute[] = [];
  const seen = new Set<string>();
  while (!reader.done) {
    const item = reader.enter(TAG.sequence, `${what}: attribute`);
    const oid = oidOf(item.expect(TAG.oid, `${what}: attribute`), `${what}: attribute`);
    const set = item.enter(TAG.set, `${what}: attribute ${oid}`);
    item.finish(`${what}: attribute ${oid}`);
    const values: Buffer[] = [];
    while (!set.done) {
      const value = set.next(`${what}: attribute ${oid}`);
      checkAny(value, `${what}: attribute ${oid}`);
      values.push(value.der);
    }
    if (values.length === 0) throw malformed(`${what}: attribute ${oid} has no value`);
    if (seen.has(oid)) throw malformed(`${what} has attribute ${oid} twice`);
    seen.add(oid);
    attributes.push({ oid, values });
  }
  return attributes;
}

function requestedExtensionsOf(attributes: readonly RequestAttribute[], what: string): Extension[] {
  const first = attributes.find(({ oid }) => oid === OID.extensionRequest)?.values[0];
  if (first === undefined) return [];
  return extensionsOf(new DerReader(first, 0, first.length, 0), what);
}
