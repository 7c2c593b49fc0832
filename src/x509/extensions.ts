// Certificate extensions, written. Each builder returns one Extension; who puts them in order is
// the caller, because Puppet's CA has an order of its own (reference: puppet-ca.md §3.1).

import {
  contextConstructed,
  contextTag,
  derAscii,
  derBoolean,
  derInteger,
  derOctets,
} from "./der.ts";
import { derOid, derSequence, derUtf8, derValue, TAG, unencodable } from "./der.ts";
import { ipBytes } from "./ip.ts";
import { keyIdOf } from "./keys.ts";
import { OID, puppetOid } from "./oids.ts";

/** One extension: `value` is what is inside the OCTET STRING. */
export interface Extension {
  oid: string;
  critical: boolean;
  value: Buffer;
}

/** A subject alternative name. `value` of "other" is the whole GeneralName in hexadecimal. */
export interface AltName {
  type: "DNS" | "IP" | "email" | "URI" | "other";
  value: string;
}

/** Bits of the keyUsage extension, in their order (RFC 5280 §4.2.1.3). */
export const KEY_USAGES = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
  "encipherOnly",
  "decipherOnly",
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

/** Encodes the SEQUENCE OF Extension; an OID that comes twice is a Fault `x509.unencodable`. */
export function encodeExtensions(extensions: readonly Extension[]): Buffer {
  const seen = new Set<string>();
  const encoded = extensions.map(({ oid, critical, value }) => {
    if (seen.has(oid)) throw unencodable(`extension ${oid} twice`);
    seen.add(oid);
    const flag = critical ? [derBoolean(true)] : [];
    return derSequence(derOid(oid), ...flag, derOctets(value));
  });
  return derSequence(...encoded);
}

/** subjectAltName in the order given. */
export function subjectAltName(names: readonly AltName[], critical = false): Extension {
  if (names.length === 0) throw unencodable("a subjectAltName without names");
  const value = derSequence(...names.map(encodeAltName));
  return { oid: OID.subjectAltName, critical, value };
}

/** basicConstraints, critical; CA:FALSE is the empty sequence. */
export function basicConstraints(options: { ca: boolean; pathLength?: number }): Extension {
  const parts: Buffer[] = [];
  if (options.ca) parts.push(derBoolean(true));
  if (options.ca && options.pathLength !== undefined) parts.push(derInteger(options.pathLength));
  return { oid: OID.basicConstraints, critical: true, value: derSequence(...parts) };
}

/** keyUsage, critical. */
export function keyUsage(usages: readonly KeyUsage[]): Extension {
  let bits = 0;
  for (const usage of usages) bits |= 0x8000 >> KEY_USAGES.indexOf(usage);
  if (bits === 0) throw unencodable("a keyUsage without a usage");
  const octets = (bits & 0xff) === 0 ? [bits >> 8] : [bits >> 8, bits & 0xff];
  // DER: trailing zero bits are left out, and their number comes first.
  const last = octets.at(-1) ?? 0;
  const unused = 31 - Math.clz32(last & -last);
  const value = derValue(TAG.bitString, Buffer.from([unused, ...octets]));
  return { oid: OID.keyUsage, critical: true, value };
}

/** extendedKeyUsage from OIDs; critical unless told otherwise, as Puppet's CA has it. */
export function extendedKeyUsage(oids: readonly string[], critical = true): Extension {
  return { oid: OID.extendedKeyUsage, critical, value: derSequence(...oids.map(derOid)) };
}

/** subjectKeyIdentifier: SHA-1 of the public key's bits. */
export function subjectKeyIdentifier(spkiDer: Uint8Array): Extension {
  const value = derOctets(keyIdOf(spkiDer));
  return { oid: OID.subjectKeyIdentifier, critical: false, value };
}

/**
 * authorityKeyIdentifier. With `issuerDer` and `serial` (of the CA's own certificate) it is the
 * form of Puppet Server; OpenSSL then rejects leaves once a new CA certificate has another serial.
 */
export function authorityKeyIdentifier(
  authority: { keyId: Uint8Array } | { keyId: Uint8Array; issuerDer: Uint8Array; serial: bigint },
): Extension {
  const parts = [derValue(contextTag(0), authority.keyId)];
  if ("serial" in authority) {
    const directoryName = derValue(contextConstructed(4), authority.issuerDer);
    parts.push(derValue(contextConstructed(1), directoryName));
    parts.push(derInteger(authority.serial, contextTag(2)));
  }
  return { oid: OID.authorityKeyIdentifier, critical: false, value: derSequence(...parts) };
}

/** The Netscape comment, which Puppet's CA puts into every certificate. */
export function netscapeComment(text = "Puppet Server Internal Certificate"): Extension {
  return { oid: OID.netscapeComment, critical: false, value: derAscii(text) };
}

/** A Puppet extension by short name ("pp_role") or OID: a UTF8String. */
export function puppetExtension(name: string, text: string, critical = false): Extension {
  return { oid: puppetOid(name) ?? name, critical, value: derUtf8(text) };
}

/** cRLNumber of a revocation list. */
export function crlNumber(number: bigint | number): Extension {
  if (number < 0) throw unencodable(`CRL number ${number} is below 0`);
  return { oid: OID.crlNumber, critical: false, value: derInteger(number) };
}

function encodeAltName({ type, value }: AltName): Buffer {
  switch (type) {
    case "email":
      return derAscii(value, contextTag(1));
    case "DNS":
      return derAscii(value, contextTag(2));
    case "URI":
      return derAscii(value, contextTag(6));
    case "IP":
      return derValue(contextTag(7), ipBytes(value));
    case "other":
      return Buffer.from(value, "hex");
  }
}
