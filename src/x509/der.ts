// DER (X.690): a strict reader over byte ranges and the writers that X.509 needs.
// The idea: nodes are offsets into one buffer, read lazily, so that a list of 50,000 entries costs
// no copies. Danger: everything read here comes from strangers; whatever isn't minimal, definite
// and in bounds is a Fault, never a guess.

import { Fault } from "../base/fault.ts";

/** Most bytes that one DER value may have: a revocation list of some 900,000 entries. */
export const DER_BYTES_MAX = 32 * 1024 * 1024;
/** Most levels of nesting. Certificates use about ten. */
export const DER_DEPTH_MAX = 24;
/** Most content bytes of an INTEGER: serials have at most 20, revocation list numbers too. */
export const INTEGER_BYTES_MAX = 64;
/** Most content bytes of an OBJECT IDENTIFIER. */
export const OID_BYTES_MAX = 64;
const OID_CHARACTERS_MAX = 256;
/** Below this, an arc of an identifier can take seven further bits as a number. */
const SMALL_ARC = 2 ** 46;
/** Below this, integers are encoded without BigInt arithmetic, for the sake of long lists. */
const SMALL_INTEGER = 2 ** 47;

/** Identifier octets, constructed bit included. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** The identifier octet of `[number]`, primitive. */
export const contextTag = (number: number): number => 0x80 | number;
/** The identifier octet of `[number]`, constructed. */
export const contextConstructed = (number: number): number => 0xa0 | number;

/** The Fault for input that isn't what it should be: code `x509.malformed`. */
export function malformed(message: string): Fault {
  return new Fault("x509.malformed", message);
}

/** The Fault for a value that X.509 has no place for: code `x509.unencodable`. */
export function unencodable(message: string): Fault {
  return new Fault("x509.unencodable", message);
}

/** One value: its tag and where it lies. Buffers handed out are views, not copies. */
export class DerNode {
  readonly tag: number;
  /** Offset of the identifier octet, of the content, and past the end, in `buffer`. */
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
  readonly buffer: Buffer;
  readonly depth: number;

  constructor(
    buffer: Buffer,
    at: { tag: number; start: number; contentStart: number; end: number; depth: number },
  ) {
    this.buffer = buffer;
    this.tag = at.tag;
    this.start = at.start;
    this.contentStart = at.contentStart;
    this.end = at.end;
    this.depth = at.depth;
  }

  /** The whole value: identifier, length, content. */
  get der(): Buffer {
    return this.buffer.subarray(this.start, this.end);
  }

  get content(): Buffer {
    return this.buffer.subarray(this.contentStart, this.end);
  }

  /** A reader over what is inside a constructed value. */
  inside(what: string): DerReader {
    if ((this.tag & 0x20) === 0) throw malformed(`${what} is not a constructed value`);
    return new DerReader(this.buffer, this.contentStart, this.end, this.depth + 1);
  }
}

/** Reads values one after the other. Every method names `what` it wanted when it faults. */
export class DerReader {
  #position: number;
  readonly #buffer: Buffer;
  readonly #end: number;
  readonly #depth: number;

  constructor(buffer: Buffer, start: number, end: number, depth: number) {
    if (depth > DER_DEPTH_MAX) throw malformed(`nested deeper than ${DER_DEPTH_MAX} levels`);
    this.#buffer = buffer;
    this.#position = start;
    this.#end = end;
    this.#depth = depth;
  }

  /** Whether nothing is left. */
  get done(): boolean {
    return this.#position >= this.#end;
  }

  /** The next identifier octet, or undefined at the end. */
  get nextTag(): number | undefined {
    return this.done ? undefined : this.#buffer[this.#position];
  }

  /** The next value, whatever it is. */
  next(what: string): DerNode {
    const start = this.#position;
    const tag = this.#octet(start, what);
    checkTag(tag, what);
    let contentStart = start + 2;
    let length = this.#octet(start + 1, what);
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 4) throw malformed(`${what} has a length that DER forbids`);
      length = 0;
      for (let i = 0; i < octets; i++) length = length * 256 + this.#octet(contentStart + i, what);
      contentStart += octets;
      if (length < 0x80 || length < 256 ** (octets - 1)) {
        throw malformed(`${what} has a length that isn't minimal`);
      }
    }
    const end = contentStart + length;
    if (end > this.#end) throw malformed(`${what} is cut off`);
    this.#position = end;
    return new DerNode(this.#buffer, { tag, start, contentStart, end, depth: this.#depth });
  }

  /** The next value, which has this tag. */
  expect(tag: number, what: string): DerNode {
    if (this.nextTag !== tag) throw malformed(`${what} is missing or of another type`);
    return this.next(what);
  }

  /** The next value if it has this tag, else undefined and nothing is read. */
  optional(tag: number, what: string): DerNode | undefined {
    return this.nextTag === tag ? this.next(what) : undefined;
  }

  /** A reader over the next value, which is constructed and has this tag. */
  enter(tag: number, what: string): DerReader {
    return this.expect(tag, what).inside(what);
  }

  /** All values that are left. */
  all(what: string): DerNode[] {
    const nodes: DerNode[] = [];
    while (!this.done) nodes.push(this.next(what));
    return nodes;
  }

  /** Faults unless everything was read. */
  finish(what: string): void {
    if (!this.done) throw malformed(`${what} has something behind its end`);
  }

  #octet(at: number, what: string): number {
    const octet = at < this.#end ? this.#buffer[at] : undefined;
    if (octet === undefined) throw malformed(`${what} is cut off`);
    return octet;
  }
}

/** The one value that `bytes` consists of. */
export function readDer(bytes: Uint8Array, what: string, bytesMax = DER_BYTES_MAX): DerNode {
  if (bytes.length > bytesMax) {
    throw malformed(`${what} has ${bytes.length} bytes, more than the ${bytesMax} allowed`);
  }
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reader = new DerReader(buffer, 0, buffer.length, 0);
  const node = reader.next(what);
  reader.finish(what);
  return node;
}

/** The value of an INTEGER or ENUMERATED, signed. */
export function integerOf(node: DerNode, what: string): bigint {
  const length = node.end - node.contentStart;
  const { buffer, contentStart } = node;
  if (length === 0 || length > INTEGER_BYTES_MAX) throw malformed(`${what} has ${length} bytes`);
  const first = buffer[contentStart] ?? 0;
  if (length > 1) {
    const second = (buffer[contentStart + 1] ?? 0) & 0x80;
    if ((first === 0 && second === 0) || (first === 0xff && second !== 0)) {
      throw malformed(`${what} isn't minimal`);
    }
  }
  if (length <= 6) return BigInt(buffer.readIntBE(contentStart, length));
  const unsigned = BigInt(`0x${buffer.toString("hex", contentStart, node.end)}`);
  return first < 0x80 ? unsigned : unsigned - (1n << BigInt(length * 8));
}

/** The value of a BOOLEAN. */
export function booleanOf(node: DerNode, what: string): boolean {
  const value = node.buffer[node.contentStart];
  if (node.end - node.contentStart !== 1 || (value !== 0 && value !== 0xff)) {
    throw malformed(`${what} is not a DER boolean`);
  }
  return value === 0xff;
}

/** The dotted form of an OBJECT IDENTIFIER. */
export function oidOf(node: DerNode, what: string): string {
  const content = node.content;
  if (content.length === 0 || content.length > OID_BYTES_MAX) {
    throw malformed(`${what} has an identifier of ${content.length} bytes`);
  }
  const arcs: (number | bigint)[] = [];
  let arc: number | bigint = 0;
  let fresh = true;
  for (const octet of content) {
    if (fresh && octet === 0x80) throw malformed(`${what} has an identifier that isn't minimal`);
    // Nearly every arc fits a number, and BigInt arithmetic takes ten times as long.
    arc =
      typeof arc === "number" && arc < SMALL_ARC
        ? arc * 128 + (octet & 0x7f)
        : (BigInt(arc) << 7n) | BigInt(octet & 0x7f);
    fresh = octet < 0x80;
    if (!fresh) continue;
    if (arcs.length === 0) {
      const root = arc < 40 ? 0 : arc < 80 ? 1 : 2;
      arcs.push(root, typeof arc === "number" ? arc - root * 40 : arc - BigInt(root * 40));
    } else arcs.push(arc);
    arc = 0;
  }
  if (!fresh) throw malformed(`${what} has an identifier that is cut off`);
  return arcs.join(".");
}

/** The bytes of a BIT STRING that has whole octets, as keys and signatures do. */
export function bitOctetsOf(node: DerNode, what: string): Buffer {
  if (node.buffer[node.contentStart] !== 0 || node.end === node.contentStart) {
    throw malformed(`${what} is not a bit string of whole octets`);
  }
  return node.buffer.subarray(node.contentStart + 1, node.end);
}

/** Faults unless the content is a BIT STRING's: a count of unused bits, and then bits. */
export function checkBits(node: DerNode, what: string): void {
  const unused = node.buffer[node.contentStart] ?? 0;
  const octets = node.end - node.contentStart - 1;
  if (octets < 0 || unused > 7 || (octets === 0 && unused > 0)) {
    throw malformed(`${what} is not a bit string`);
  }
}

/** A value with this identifier octet around `contents`. */
export function derValue(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const content of contents) length += content.length;
  if (length > DER_BYTES_MAX) throw unencodable(`${length} bytes are too many for one value`);
  return Buffer.concat([derHead(tag, length), ...contents]);
}

/** Identifier and length octets of a value with `length` content bytes. */
export function derHead(tag: number, length: number): Buffer {
  if (length < 0x80) return Buffer.from([tag, length]);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Buffer.from([tag, 0x80 | octets.length, ...octets]);
}

/** A SEQUENCE of encoded values. */
export const derSequence = (...items: readonly Uint8Array[]): Buffer =>
  derValue(TAG.sequence, ...items);

/** A SET OF encoded values, in the order that DER demands. */
export const derSetOf = (items: readonly Uint8Array[], tag: number = TAG.set): Buffer =>
  derValue(tag, ...[...items].sort((a, b) => Buffer.compare(a, b)));

export const derOctets = (bytes: Uint8Array): Buffer => derValue(TAG.octetString, bytes);
export const derNull = (): Buffer => derValue(TAG.null);
export const derBoolean = (value: boolean): Buffer =>
  derValue(TAG.boolean, Buffer.from([value ? 0xff : 0]));
export const derUtf8 = (text: string): Buffer => derValue(TAG.utf8String, Buffer.from(text));

/** A BIT STRING of whole octets. */
export const derBitOctets = (bytes: Uint8Array): Buffer =>
  derValue(TAG.bitString, Buffer.from([0]), bytes);

/** An IA5String, DNS name or the like: 7-bit text under `tag`. */
export function derAscii(text: string, tag: number = TAG.ia5String): Buffer {
  if (!isAscii(text)) throw unencodable(`"${text}" has characters outside ASCII`);
  return derValue(tag, Buffer.from(text, "latin1"));
}

/** An INTEGER (or what `tag` says), minimal, signed. */
export function derInteger(value: bigint | number, tag: number = TAG.integer): Buffer {
  if (typeof value === "number" && !Number.isSafeInteger(value)) {
    throw unencodable(`${value} is not a whole number`);
  }
  const small = Number(value);
  if (Math.abs(small) < SMALL_INTEGER) return derSmallInteger(small, tag);
  let number = BigInt(value);
  const magnitude = number < 0n ? -number - 1n : number;
  const bytes = Math.floor(magnitude.toString(2).length / 8) + 1; // one bit is the sign
  if (bytes > INTEGER_BYTES_MAX) throw unencodable(`a number of ${bytes} bytes is too long`);
  if (number < 0n) number += 1n << BigInt(bytes * 8);
  return derValue(tag, Buffer.from(number.toString(16).padStart(bytes * 2, "0"), "hex"));
}

/** An OBJECT IDENTIFIER from its dotted form. Not to be written to: it may be handed out again. */
export function derOid(oid: string): Buffer {
  const known = encodedOids.get(oid);
  if (known !== undefined) return known;
  const encoded = encodeOid(oid);
  if (encodedOids.size < ENCODED_OIDS_MAX) encodedOids.set(oid, encoded);
  return encoded;
}

/** A certificate has a dozen, and they are nearly always the same. */
const encodedOids = new Map<string, Buffer>();
const ENCODED_OIDS_MAX = 200;

function encodeOid(oid: string): Buffer {
  if (oid.length > OID_CHARACTERS_MAX || !/^[0-2](\.(0|[1-9][0-9]*))+$/.test(oid)) {
    throw unencodable(`"${oid.slice(0, OID_CHARACTERS_MAX)}" is no OID`);
  }
  const [root = 0n, second = 0n, ...rest] = oid.split(".").map(BigInt);
  if (root < 2n && second > 39n) throw unencodable(`"${oid}" is no OID`);
  const octets = [root * 40n + second, ...rest].flatMap(arcOctets);
  if (octets.length > OID_BYTES_MAX) throw unencodable(`"${oid}" is too long`);
  return derValue(TAG.oid, Buffer.from(octets));
}

/** Whether every character is 7-bit. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function derSmallInteger(value: number, tag: number): Buffer {
  let bytes = 1;
  for (let limit = 128; value < -limit || value >= limit; limit *= 256) bytes++;
  const out = Buffer.allocUnsafe(2 + bytes);
  out[0] = tag;
  out[1] = bytes;
  out.writeIntBE(value, 2, bytes);
  return out;
}

function arcOctets(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80);
  return octets;
}

/** DER allows SEQUENCE and SET constructed only, other universal types primitive only. */
function checkTag(tag: number, what: string): void {
  if ((tag & 0x1f) === 0x1f) throw malformed(`${what} has a tag number over 30`);
  if (tag >= 0x40) return;
  const number = tag & 0x1f;
  const constructed = (tag & 0x20) !== 0;
  if (number === 0 || constructed !== (number === 16 || number === 17)) {
    throw malformed(`${what} has tag 0x${tag.toString(16)}, which DER forbids`);
  }
}
