// Hostile relatives of valid DER, for tests. The idea: one value somewhere inside is cut, doubled,
// nested, given another tag, a length that lies, or swapped for a value of another structure, and
// the lengths around it are made right again, so that the change gets past the outer checks to the
// code that reads it.

import type { KeyObject } from "node:crypto";
import * as fc from "fast-check";
import { type DerNode, derHead, derValue, readDer, TAG } from "../der.ts";
import { algorithmFor, assembleSigned, signTbs } from "../signed.ts";

/** A value and what is inside it: values, also those behind a string of octets or bits, or bytes. */
interface Piece {
  tag: number;
  /** What comes before the values inside: the count of unused bits. */
  lead: Buffer;
  inside: Piece[] | Buffer;
}

/** How a value becomes hostile. `number` is below 2^16, `donor` a valid value of some structure. */
type Change = (der: Buffer, number: number, donor: Buffer) => Buffer;

const CHANGES = {
  flip: (der, number) => withOctet(der, number % der.length, 1 << (number % 8)),
  tag: (der, number) => Buffer.concat([Buffer.from([number & 0xff]), der.subarray(1)]),
  longer: (der, number) => withLength(der, derHead(0, contentOf(der).length + 1 + (number % 300))),
  shorter: (der, number) => withLength(der, derHead(0, number % (contentOf(der).length + 1))),
  padded: (der) => withLength(der, Buffer.from([0, 0x84, ...octetsOf(contentOf(der).length)])),
  endless: (der) => Buffer.concat([withLength(der, Buffer.from([0, 0x80])), Buffer.alloc(2)]),
  vast: (der, number) => withLength(der, Buffer.from([0, 0x84, 0xff, 0xff, number & 0xff, 0xff])),
  drop: () => Buffer.alloc(0),
  empty: (der) => Buffer.from([der[0] ?? 0, 0]),
  cut: (der, number) => der.subarray(0, number % der.length),
  twice: (der) => Buffer.concat([der, der]),
  swap: (_der, _number, donor) => donor,
  before: (der, _number, donor) => Buffer.concat([donor, der]),
  behind: (der, _number, donor) => Buffer.concat([der, donor]),
  fill: (der, number) => derValue(der[0] ?? 0, Buffer.alloc(number % 2000, number >> 8)),
  long: (der, number) => derValue(der[0] ?? 0, Buffer.alloc(60_000 + (number % 9000), number >> 8)),
  many: (der, number) => Buffer.concat(Array.from({ length: number % 40 }, () => der)),
  deep: (der, number) => nested(der, number % 60, [TAG.sequence, TAG.set, 0xa0][number % 3] ?? 0),
} satisfies Record<string, Change>;

interface Edit {
  change: keyof typeof CHANGES;
  at: number;
  number: number;
  donor: number;
}

/**
 * Relatives of `valid` with one to three changes. `donors` lend values; with `key`, half of them
 * are signed anew, so that the signature holds and only the content is hostile.
 */
export function hostile(
  valid: Buffer,
  donors: readonly Buffer[] = [],
  key?: KeyObject,
): fc.Arbitrary<Buffer> {
  const lent = [valid, ...donors].flatMap((der) => valuesOf(dissect(readDer(der, "donor"))));
  const edit: fc.Arbitrary<Edit> = fc.record({
    change: fc.constantFrom(...(Object.keys(CHANGES) as (keyof typeof CHANGES)[])),
    at: fc.nat(9999),
    number: fc.nat(0xffff),
    donor: fc.nat(9999),
  });
  const edits = fc.array(edit, { minLength: 1, maxLength: 3 });
  return fc.tuple(edits, fc.boolean()).map(([edits, signed]) => {
    let der = valid;
    for (const each of edits) der = applyEdit(der, each, lent);
    return signed && key !== undefined ? signedAnew(der, key) : der;
  });
}

/** `der` (certificate, request or list) with the signature of `key` over what it says now. */
export function signedAnew(der: Buffer, key: KeyObject): Buffer {
  try {
    const tbs = readDer(der, "signed").inside("signed").next("tbs");
    return assembleSigned(tbs.der, algorithmFor(key), signTbs(tbs.der, key));
  } catch {
    // Broken already around the signed part.
    return der;
  }
}

/** `der` inside so many values with this tag. */
export function nested(der: Buffer, levels: number, tag: number = TAG.sequence): Buffer {
  const heads: Buffer[] = [];
  let length = der.length;
  for (let level = 0; level < levels; level++) {
    const head = derHead(tag, length);
    heads.push(head);
    length += head.length;
  }
  return Buffer.concat([...heads.reverse(), der]);
}

function applyEdit(der: Buffer, edit: Edit, lent: readonly Buffer[]): Buffer {
  const change: Change = CHANGES[edit.change];
  const donor = lent[edit.donor % lent.length] ?? der;
  if (der.length === 0) return donor;
  const root = tryDissect(der);
  // Broken by an earlier edit: then the bytes as a whole are changed.
  if (root === undefined) return change(der, edit.number, donor);
  const all = flatten(root);
  const target = all[edit.at % all.length];
  return assemble(root, (piece, bytes) =>
    piece === target ? change(bytes, edit.number, donor) : bytes,
  );
}

function tryDissect(der: Buffer): Piece | undefined {
  try {
    return dissect(readDer(der, "piece"));
  } catch {
    return undefined;
  }
}

function dissect(node: DerNode): Piece {
  const { tag, content } = node;
  const none = Buffer.alloc(0);
  if ((tag & 0x20) !== 0) {
    return { tag, lead: none, inside: node.inside("piece").all("piece").map(dissect) };
  }
  if (tag !== TAG.octetString && tag !== TAG.bitString) return { tag, lead: none, inside: content };
  const at = tag === TAG.bitString ? 1 : 0;
  const inner = tryDissect(content.subarray(at));
  return inner === undefined
    ? { tag, lead: none, inside: content }
    : { tag, lead: content.subarray(0, at), inside: [inner] };
}

function assemble(piece: Piece, finish: (piece: Piece, der: Buffer) => Buffer): Buffer {
  const { tag, lead, inside } = piece;
  const contents = Buffer.isBuffer(inside)
    ? [inside]
    : inside.map((part) => assemble(part, finish));
  return finish(piece, derValue(tag, lead, ...contents));
}

function flatten(piece: Piece): Piece[] {
  return [piece, ...(Buffer.isBuffer(piece.inside) ? [] : piece.inside.flatMap(flatten))];
}

function valuesOf(root: Piece): Buffer[] {
  return flatten(root).map((piece) => assemble(piece, (_, der) => der));
}

function contentOf(der: Buffer): Buffer {
  const first = der[1] ?? 0;
  return der.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f));
}

/** `der` with the length octets of `head` and its own tag and content. */
function withLength(der: Buffer, head: Buffer): Buffer {
  return Buffer.concat([der.subarray(0, 1), head.subarray(1), contentOf(der)]);
}

function withOctet(der: Buffer, at: number, flipped: number): Buffer {
  const copy = Buffer.from(der);
  copy[at] = (copy[at] ?? 0) ^ flipped;
  return copy;
}

function octetsOf(length: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(length);
  return octets;
}
