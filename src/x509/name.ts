// Distinguished names: one common name out, anything in, and the RFC 2253 text that HAProxy and
// OpenSSL print. Danger: identity hangs on this. A value that can't be decoded or a second common
// name yields no common name at all, rather than one that another parser reads differently.

import { type DerNode, derOid, derSequence, derSetOf, derUtf8, oidOf, readDer } from "./der.ts";
import { malformed, TAG, unencodable } from "./der.ts";
import { attributeName } from "./attribute-names.ts";
import { OID } from "./oids.ts";
import { textOf } from "./text.ts";

/** One attribute of a name. `text` is undefined when the value is no decodable string. */
export interface NameAttribute {
  oid: string;
  valueDer: Buffer;
  text: string | undefined;
}

/** A relative distinguished name: one attribute, or several when it is multi-valued. */
export type Rdn = readonly NameAttribute[];

const NAME_BYTES_MAX = 64 * 1024;

/** A name of one RDN: the common name as UTF8String, as Puppet's CA writes it. */
export function nameOf(options: { commonName: string }): Buffer {
  if (options.commonName === "") throw unencodable("an empty common name");
  const attribute = derSequence(derOid(OID.commonName), derUtf8(options.commonName));
  return derSequence(derSetOf([attribute]));
}

/** The RDNs of an encoded name, in encoded order. */
export function parseName(nameDer: Uint8Array): Rdn[] {
  return rdnsOf(readDer(nameDer, "name"), "name");
}

/** The RDNs of a name inside something larger. */
export function rdnsOf(node: DerNode, what: string): Rdn[] {
  if (node.tag !== TAG.sequence) throw malformed(`${what} is not a name`);
  const bytes = node.end - node.start;
  if (bytes > NAME_BYTES_MAX) {
    throw malformed(`${what} has ${bytes} bytes, more than the ${NAME_BYTES_MAX} allowed`);
  }
  const reader = node.inside(what);
  const rdns: Rdn[] = [];
  while (!reader.done) {
    const set = reader.enter(TAG.set, what);
    const rdn: NameAttribute[] = [];
    while (!set.done) {
      const pair = set.enter(TAG.sequence, what);
      const oid = oidOf(pair.expect(TAG.oid, what), what);
      const value = pair.next(what);
      pair.finish(what);
      rdn.push({ oid, valueDer: value.der, text: attributeTextOf(value) });
    }
    if (rdn.length === 0) throw malformed(`${what} has an empty part`);
    rdns.push(rdn);
  }
  return rdns;
}

/** OpenSSL, and HAProxy with it, reads no certificate that has a VisibleString in a name. */
function attributeTextOf(value: DerNode): string | undefined {
  return value.tag === TAG.visibleString ? undefined : textOf(value);
}

/** The common name, if there is exactly one and it is decodable text. */
export function commonNameOf(name: Uint8Array | readonly Rdn[]): string | undefined {
  const found = rdnsFrom(name)
    .flat()
    .filter(({ oid }) => oid === OID.commonName);
  return found.length === 1 ? found[0]?.text : undefined;
}

/** How many attributes a name has, those of multi-valued RDNs counted one by one. */
export function attributeCount(name: Uint8Array | readonly Rdn[]): number {
  return rdnsFrom(name).flat().length;
}

/**
 * The RFC 2253 text, equal to OpenSSL's `-nameopt RFC2253` and HAProxy's `ssl_c_s_dn(,0,rfc2253)`.
 */
export function nameText(name: Uint8Array | readonly Rdn[]): string {
  return rdnsFrom(name)
    .toReversed()
    .map((rdn) => rdn.toReversed().map(attributeText).join("+"))
    .join(",");
}

/**
 * Whether two encoded names are one, as OpenSSL compares them (RFC 5280 §7.1): types of strings,
 * capitals and runs of blanks make no difference. Some CAs write a name otherwise in their lists.
 */
export function isSameName(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0 || comparable(a) === comparable(b);
}

function comparable(name: Uint8Array): string {
  const attribute = ({ oid, valueDer, text }: NameAttribute) => {
    const value = text?.trim().replace(/\s+/g, " ").toLowerCase();
    return JSON.stringify(
      value === undefined ? [oid, valueDer.toString("hex"), "der"] : [oid, value],
    );
  };
  return JSON.stringify(parseName(name).map((rdn) => rdn.map(attribute).sort()));
}

function rdnsFrom(name: Uint8Array | readonly Rdn[]): readonly Rdn[] {
  return name instanceof Uint8Array ? parseName(name) : name;
}

function attributeText({ oid, valueDer, text }: NameAttribute): string {
  const short = attributeName(oid);
  if (short === undefined || text === undefined) {
    return `${short ?? oid}=#${valueDer.toString("hex").toUpperCase()}`;
  }
  return `${short}=${escape(text)}`;
}

/**
 * Escapes as OpenSSL's XN_FLAG_RFC2253: specials by a backslash, others by bytes in hexadecimal.
 */
function escape(text: string): string {
  const bytes = Buffer.from(text);
  let out = "";
  for (const [index, byte] of bytes.entries()) {
    const character = String.fromCharCode(byte);
    const edge = index === 0 || index === bytes.length - 1;
    if (byte < 0x20 || byte > 0x7e) {
      out += `\\${byte.toString(16).toUpperCase().padStart(2, "0")}`;
    } else if (',+"\\<>;'.includes(character) || (edge && byte === 0x20)) out += `\\${character}`;
    // OpenSSL leaves a lone "#" as it is.
    else if (index === 0 && bytes.length > 1 && byte === 0x23) out += "\\#";
    else out += character;
  }
  return out;
}
