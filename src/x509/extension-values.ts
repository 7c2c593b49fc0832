// Certificate extensions, read. Structure is checked strictly; a value of odd content is shown as
// it is ("other", hexadecimal), so that policy can refuse it instead of overlooking it.

import { booleanOf, contextConstructed, contextTag, type DerReader, integerOf } from "./der.ts";
import { malformed, oidOf, readDer, TAG } from "./der.ts";
import type { AltName, Extension } from "./extensions.ts";
import { ipText } from "./ip.ts";
import { OID } from "./oids.ts";
import { asciiOf, textOf, utf8Of } from "./text.ts";

/** Anything with extensions: a certificate, a revocation list. */
export interface Extended {
  extensions: readonly Extension[];
}

/** What an authorityKeyIdentifier says. */
export interface AuthorityKey {
  keyId?: Buffer;
  /** The first directory name of authorityCertIssuer. */
  issuerDer?: Buffer;
  serial?: bigint;
}

/** Reads a SEQUENCE OF Extension. A repeated OID is malformed: parsers disagree on which counts. */
export function extensionsOf(reader: DerReader, what: string): Extension[] {
  const extensions: Extension[] = [];
  const seen = new Set<string>();
  const list = reader.enter(TAG.sequence, `${what}: extensions`);
  while (!list.done) {
    const item = list.enter(TAG.sequence, `${what}: extension`);
    const oid = oidOf(item.expect(TAG.oid, `${what}: extension`), `${what}: extension`);
    const flag = item.optional(TAG.boolean, `${what}: extension ${oid}`);
    // An explicit FALSE isn't DER, but some old requests have it and nobody reads it differently.
    const critical = flag !== undefined && booleanOf(flag, `${what}: extension ${oid}`);
    const value = item.expect(TAG.octetString, `${what}: extension ${oid}`).content;
    item.finish(`${what}: extension ${oid}`);
    if (seen.has(oid)) throw malformed(`${what} has extension ${oid} twice`);
    seen.add(oid);
    extensions.push({ oid, critical, value });
  }
  return extensions;
}

/** The extension with this OID, or undefined. */
export function findExtension({ extensions }: Extended, oid: string): Extension | undefined {
  return extensions.find((extension) => extension.oid === oid);
}

/** The subject alternative names of a certificate or of that extension; [] when it has none. */
export function subjectAltNames(source: Extended | Extension): AltName[] {
  const extension = "oid" in source ? source : findExtension(source, OID.subjectAltName);
  if (extension === undefined) return [];
  const root = readDer(extension.value, "subjectAltName");
  if (root.tag !== TAG.sequence) throw malformed("subjectAltName is not a sequence");
  const reader = root.inside("subjectAltName");
  const names: AltName[] = [];
  while (!reader.done) {
    const node = reader.next("subjectAltName");
    if ((node.tag & 0xc0) !== 0x80) throw malformed("subjectAltName has an unknown kind of name");
    names.push(
      altName(node.tag, node.content) ?? { type: "other", value: node.der.toString("hex") },
    );
  }
  return names;
}

/** The subjectKeyIdentifier of a certificate, or undefined. */
export function subjectKeyId(source: Extended): Buffer | undefined {
  const extension = findExtension(source, OID.subjectKeyIdentifier);
  if (extension === undefined) return undefined;
  const node = readDer(extension.value, "subjectKeyIdentifier");
  if (node.tag !== TAG.octetString) throw malformed("subjectKeyIdentifier is no octet string");
  return node.content;
}

/** The key identifier inside authorityKeyIdentifier, or undefined. */
export const authorityKeyId = (source: Extended): Buffer | undefined => authorityKey(source).keyId;

/** Everything that authorityKeyIdentifier says; {} when there is none. */
export function authorityKey(source: Extended): AuthorityKey {
  const extension = findExtension(source, OID.authorityKeyIdentifier);
  if (extension === undefined) return {};
  const what = "authorityKeyIdentifier";
  const root = readDer(extension.value, what);
  if (root.tag !== TAG.sequence) throw malformed(`${what} is not a sequence`);
  const reader = root.inside(what);
  const found: AuthorityKey = {};
  const keyId = reader.optional(contextTag(0), what);
  if (keyId !== undefined) found.keyId = keyId.content;
  const issuers = reader.optional(contextConstructed(1), what)?.inside(what);
  for (const name of issuers?.all(what) ?? []) {
    if (name.tag === contextConstructed(4)) found.issuerDer ??= name.content;
  }
  const serial = reader.optional(contextTag(2), what);
  if (serial !== undefined) found.serial = integerOf(serial, what);
  reader.finish(what);
  return found;
}

/** Whether basicConstraints says that this is a CA. */
export function isCa(source: Extended): boolean {
  const extension = findExtension(source, OID.basicConstraints);
  if (extension === undefined) return false;
  const root = readDer(extension.value, "basicConstraints");
  if (root.tag !== TAG.sequence) throw malformed("basicConstraints is not a sequence");
  const flag = root.inside("basicConstraints").optional(TAG.boolean, "basicConstraints");
  return flag !== undefined && booleanOf(flag, "basicConstraints");
}

/**
 * The text of a Puppet extension. Normally a UTF8String; other strings are decoded, and agents
 * before Puppet 4 sent bare bytes. What is no text at all comes back in hexadecimal.
 */
export function extensionText({ value }: Extension): string {
  try {
    const text = textOf(readDer(value, "extension"));
    if (text !== undefined) return text;
  } catch {
    // Not DER: bare bytes.
  }
  return utf8Of(value) ?? value.toString("hex");
}

function altName(tag: number, content: Buffer): AltName | undefined {
  const text = (type: AltName["type"]): AltName | undefined => {
    const value = asciiOf(content);
    return value === undefined ? undefined : { type, value };
  };
  if (tag === contextTag(1)) return text("email");
  if (tag === contextTag(2)) return text("DNS");
  if (tag === contextTag(6)) return text("URI");
  const ip = tag === contextTag(7) ? ipText(content) : undefined;
  return ip === undefined ? undefined : { type: "IP", value: ip };
}
