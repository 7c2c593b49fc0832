// Certificate revocation lists (RFC 5280 §5): made, rebuilt from a stored signature, parsed.
// The idea: the same fields always give the same bytes, so every server can rebuild the list of a
// given number and check its hash. Danger: a list that can't be rebuilt byte by byte is useless
// with the stored signature; extension order and entry order are part of the format.

import type { KeyObject } from "node:crypto";
import {
  contextConstructed,
  derInteger,
  derSequence,
  derValue,
  integerOf,
  malformed,
} from "./der.ts";
import { DER_BYTES_MAX, type DerReader, readDer, TAG } from "./der.ts";
import { type CrlEntry, encodeCrlEntry, readCrlEntry } from "./crl-entry.ts";
import { authorityKeyId, extensionsOf, findExtension } from "./extension-values.ts";
import {
  authorityKeyIdentifier,
  crlNumber,
  encodeExtensions,
  type Extension,
} from "./extensions.ts";
import { nameText, rdnsOf } from "./name.ts";
import { OID } from "./oids.ts";
import { derFrom, dersFrom, encodePem } from "./pem.ts";
import { algorithmFor, algorithmIdentifier, assembleSigned, readSigned } from "./signed.ts";
import { type Signed, signTbs, signTbsAsync, verifySigned } from "./signed.ts";
import { derTime, timeOf } from "./time.ts";

export { type CrlEntry, encodeCrlEntry } from "./crl-entry.ts";

const LABELS = ["X509 CRL"];

/** What a list says. Entries are written in the order given, plain or encoded beforehand. */
export interface CrlContent {
  issuerDer: Uint8Array;
  /** The CA's subjectKeyIdentifier. */
  authorityKeyId: Uint8Array;
  number: bigint | number;
  thisUpdateMs: number;
  nextUpdateMs: number;
  entries: readonly (CrlEntry | Uint8Array)[];
}

/** A list just made. */
export type CreatedCrl = Signed;

/** A parsed list. Buffers are views into `der`; times are milliseconds since 1970. */
export interface Crl extends Signed {
  issuerDer: Buffer;
  issuerText: string;
  thisUpdateMs: number;
  nextUpdateMs: number | undefined;
  number: bigint | undefined;
  authorityKeyId: Buffer | undefined;
  entries: CrlEntry[];
  extensions: Extension[];
}

/** Makes and signs a list. Blocks for its hash and one signature. */
export function createCrl(content: CrlContent & { signingKey: KeyObject }): CreatedCrl {
  const signatureAlgorithm = algorithmFor(content.signingKey);
  const tbsDer = encodeTbs(content, signatureAlgorithm);
  return seal(tbsDer, signatureAlgorithm, signTbs(tbsDer, content.signingKey));
}

/** The same with the signature made on a thread. */
export async function createCrlAsync(
  content: CrlContent & { signingKey: KeyObject },
): Promise<CreatedCrl> {
  const signatureAlgorithm = algorithmFor(content.signingKey);
  const tbsDer = encodeTbs(content, signatureAlgorithm);
  return seal(tbsDer, signatureAlgorithm, await signTbsAsync(tbsDer, content.signingKey));
}

/**
 * Rebuilds a list from its fields and the signature it was given when it was made; returns its DER.
 * Nothing is verified: compare its hash, or call verifyCrl. The algorithm defaults to RSA's.
 */
export function assembleCrl(
  content: CrlContent & { signature: Uint8Array; signatureAlgorithm?: string },
): Buffer {
  const { signature, signatureAlgorithm = OID.sha256WithRsa } = content;
  const tbsDer = encodeTbs(content, signatureAlgorithm);
  return assembleSigned(tbsDer, signatureAlgorithm, Buffer.from(signature));
}

/**
 * Parses one list, DER or PEM with exactly one block. Faults: `x509.malformed`, `x509.unsupported`.
 */
export function parseCrl(derOrPem: Uint8Array | string): Crl {
  return parse(derFrom(derOrPem, LABELS));
}

/** Parses a bundle of lists, as in Puppet's ca_crl.pem, in its order. */
export function parseCrls(pem: Uint8Array | string): Crl[] {
  return dersFrom(pem, LABELS).map(parse);
}

/** `BEGIN X509 CRL` around a list. */
export const crlPem = (der: Uint8Array): string => encodePem("X509 CRL", der);

/** Whether the holder of `issuer` (a key or a SubjectPublicKeyInfo) signed this list. */
export function verifyCrl(crl: Signed, issuer: Uint8Array | KeyObject): boolean {
  return verifySigned(crl, issuer);
}

function seal(tbsDer: Buffer, signatureAlgorithm: string, signature: Buffer): CreatedCrl {
  const der = assembleSigned(tbsDer, signatureAlgorithm, signature);
  return { der, tbsDer, signatureAlgorithm, signature };
}

function encodeTbs(content: CrlContent, signatureAlgorithm: string): Buffer {
  const entries = content.entries.map((entry) =>
    entry instanceof Uint8Array ? entry : encodeCrlEntry(entry),
  );
  const extensions = [
    crlNumber(content.number),
    authorityKeyIdentifier({ keyId: content.authorityKeyId }),
  ];
  return derSequence(
    derInteger(1),
    algorithmIdentifier(signatureAlgorithm),
    content.issuerDer,
    derTime(content.thisUpdateMs),
    derTime(content.nextUpdateMs),
    // An empty list is left out, not written as an empty sequence (RFC 5280 §5.1.2.6).
    ...(entries.length === 0 ? [] : [derValue(TAG.sequence, ...entries)]),
    derValue(contextConstructed(0), encodeExtensions(extensions)),
  );
}

function parse(der: Buffer): Crl {
  const what = "CRL";
  const { tbs, algorithmDer, ...signed } = readSigned(der, what, DER_BYTES_MAX);
  const reader = tbs.inside(what);
  const version = reader.optional(TAG.integer, `${what}: version`);
  if (version !== undefined && integerOf(version, `${what}: version`) !== 1n) {
    throw malformed("CRL is not of version 2");
  }
  const inner = reader.expect(TAG.sequence, `${what}: algorithm`);
  if (!inner.der.equals(algorithmDer)) throw malformed("CRL: its two algorithms differ");
  const issuer = reader.expect(TAG.sequence, `${what}: issuer`);
  const thisUpdateMs = timeOf(reader.next(`${what}: thisUpdate`), `${what}: thisUpdate`);
  const next =
    reader.optional(TAG.utcTime, what) ?? reader.optional(TAG.generalizedTime, `${what}: time`);
  const nextUpdateMs = next === undefined ? undefined : timeOf(next, `${what}: nextUpdate`);
  const list = reader.optional(TAG.sequence, `${what}: entries`)?.inside(what);
  const entries = list === undefined ? [] : entriesOf(list);
  const wrapper = reader.optional(contextConstructed(0), `${what}: extensions`)?.inside(what);
  const extensions = wrapper === undefined ? [] : extensionsOf(wrapper, what);
  wrapper?.finish(`${what}: extensions`);
  reader.finish(what);
  return {
    ...signed,
    issuerDer: issuer.der,
    issuerText: nameText(rdnsOf(issuer, `${what}: issuer`)),
    thisUpdateMs,
    nextUpdateMs,
    number: numberOf(extensions),
    authorityKeyId: authorityKeyId({ extensions }),
    entries,
    extensions,
  };
}

function entriesOf(list: DerReader): CrlEntry[] {
  const entries: CrlEntry[] = [];
  while (!list.done) entries.push(readCrlEntry(list));
  return entries;
}

function numberOf(extensions: Extension[]): bigint | undefined {
  const extension = findExtension({ extensions }, OID.crlNumber);
  if (extension === undefined) return undefined;
  const node = readDer(extension.value, "CRL number");
  if (node.tag !== TAG.integer) throw malformed("CRL number is not an integer");
  return integerOf(node, "CRL number");
}
