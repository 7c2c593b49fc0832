import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import {
  bitOctetsOf,
  booleanOf,
  checkBits,
  DER_DEPTH_MAX,
  derBitOctets,
  derBoolean,
  derHead,
} from "./der.ts";
import { derAscii, derInteger, derOctets, derOid, derSequence, derSetOf, derUtf8 } from "./der.ts";
import { type DerNode, derValue, integerOf, oidOf, readDer, TAG } from "./der.ts";
import { valueOrFault } from "./testing/hostile.ts";

const malformed = (error: unknown) => isFault(error, "x509.malformed");
const unencodable = (error: unknown) => isFault(error, "x509.unencodable");

/** A value as plain data: content of a primitive, children of a constructed one. */
type Tree = { tag: number; content: Buffer } | { tag: number; children: Tree[] };

const plain = { noNullPrototype: true } as const;
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6 },
    fc.record(
      {
        tag: fc.constantFrom(TAG.integer, TAG.octetString, TAG.utf8String, 0x80, 0x9e),
        content: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      },
      plain,
    ),
    fc.record(
      {
        tag: fc.constantFrom<number[]>(TAG.sequence, TAG.set, 0xa0, 0xa3),
        children: fc.array(tie("tree"), { maxLength: 4 }),
      },
      plain,
    ),
  ),
})).tree;

function encode(value: Tree): Buffer {
  return "content" in value
    ? derValue(value.tag, value.content)
    : derValue(value.tag, ...value.children.map(encode));
}

function decode(node: DerNode): Tree {
  if ((node.tag & 0x20) === 0) return { tag: node.tag, content: node.content };
  return { tag: node.tag, children: node.inside("tree").all("tree").map(decode) };
}

test("readDer gives back every tree that derValue encoded", () => {
  fc.assert(
    fc.property(tree, (value) => {
      assert.deepEqual(decode(readDer(encode(value), "tree")), value);
    }),
  );
});

test("readDer makes a value or a Fault of any bytes", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const likely = fc.array(fc.constantFrom(0x30, 0x31, 2, 4, 0x80, 0x81, 0x82, 0xff, 0, 1, 3, 0xa0));
  fc.assert(
    fc.property(fc.oneof(bytes, likely), (bytes) =>
      valueOrFault(() => decode(readDer(Buffer.from(bytes), "tree"))),
    ),
    { numRuns: 2000 },
  );
});

const REFUSED: [string, string][] = [
  ["nothing", ""],
  ["no length", "30"],
  ["an indefinite length", "3080020101"],
  ["an indefinite length with its end", "30800201010000"],
  ["the reserved length 0xff", `30ff${"00".repeat(127)}`],
  ["a long length that fits the short form", "30810302 0101".replace(" ", "")],
  ["a length with a leading zero", `0482008${"0".repeat(1)}${"00".repeat(128)}`],
  ["a length beyond the end", "3004020101"],
  ["a length of 4 GiB", "3084ffffffff"],
  ["a length of five octets", "30850000000001"],
  ["a length that is cut off", "3082"],
  ["bytes behind the end", "30000500"],
  ["a tag number over 30", "1f8101020101"],
  ["end-of-contents", "0000"],
  ["a primitive sequence", "1000"],
  ["a constructed octet string", "2403040100"],
];
for (const [what, hex] of REFUSED) {
  test(`readDer refuses ${what}`, () => {
    assert.throws(() => decode(readDer(Buffer.from(hex, "hex"), "input")), malformed);
  });
}

test("readDer refuses more bytes than it is told to take", () => {
  assert.throws(() => readDer(derOctets(Buffer.alloc(100)), "input", 100), malformed);
});

test("inside refuses to go deeper than the limit", () => {
  let value = derValue(TAG.null);
  for (let level = 0; level < DER_DEPTH_MAX; level++) value = derSequence(value);
  assert.ok(decode(readDer(value, "nest")));
  assert.throws(() => decode(readDer(derSequence(value), "nest")), malformed);
});

test("integerOf gives back what derInteger encoded", () => {
  const number = fc.bigInt({ min: -(1n << 400n), max: 1n << 400n });
  const edges = fc.constantFrom(0n, 127n, 128n, -128n, -129n, 255n, 256n, 1n << 47n, 1n << 63n);
  fc.assert(
    fc.property(fc.oneof(number, edges, fc.maxSafeInteger().map(BigInt)), (value) => {
      assert.equal(integerOf(readDer(derInteger(value), "number"), "number"), value);
    }),
  );
});

test("integerOf refuses what isn't minimal, empty or too long", () => {
  for (const hex of ["0200", "02020001", "0202ff80", `0241${"01".repeat(65)}`]) {
    assert.throws(() => integerOf(readDer(Buffer.from(hex, "hex"), "n"), "n"), malformed, hex);
  }
});

test("derInteger refuses fractions and numbers that are too long", () => {
  assert.throws(() => derInteger(1.5), unencodable);
  assert.throws(() => derInteger(Number.NaN), unencodable);
  assert.throws(() => derInteger(1n << 600n), unencodable);
});

test("oidOf gives back what derOid encoded", () => {
  const arc = fc.oneof(fc.nat(300), fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }));
  const oid = fc
    .tuple(fc.constantFrom("0", "1", "2"), fc.nat(39), fc.array(arc, { maxLength: 3 }))
    .map(([root, second, rest]) => [root, second, ...rest].join("."));
  const wide = fc.constantFrom("2.999.1", "2.48", "2.25.340282366920938463463374607431768211455");
  fc.assert(
    fc.property(fc.oneof(oid, wide), (text) => {
      assert.equal(oidOf(readDer(derOid(text), "oid"), "oid"), text);
    }),
  );
});

test("oidOf refuses empty, padded, cut off and endless identifiers", () => {
  for (const hex of ["0600", "06028001", "06022a80", "06022a86", `0641${"01".repeat(65)}`]) {
    assert.throws(() => oidOf(readDer(Buffer.from(hex, "hex"), "oid"), "oid"), malformed, hex);
  }
});

test("derOid refuses what is no OID", () => {
  for (const text of ["", "1", "3.1", "1.40", "1..2", "1.02", "pp_rol", `1.2${".1".repeat(200)}`]) {
    assert.throws(() => derOid(text), unencodable, text);
  }
});

test("booleanOf takes 00 and ff only", () => {
  assert.equal(booleanOf(readDer(derBoolean(true), "b"), "b"), true);
  assert.equal(booleanOf(readDer(derBoolean(false), "b"), "b"), false);
  for (const hex of ["010101", "0100", "0102ffff"]) {
    assert.throws(() => booleanOf(readDer(Buffer.from(hex, "hex"), "b"), "b"), malformed);
  }
});

test("bitOctetsOf takes bit strings of whole octets only", () => {
  assert.deepEqual(
    bitOctetsOf(readDer(derBitOctets(Buffer.from("ab")), "b"), "b"),
    Buffer.from("ab"),
  );
  for (const hex of ["0300", "03020780"]) {
    assert.throws(() => bitOctetsOf(readDer(Buffer.from(hex, "hex"), "b"), "b"), malformed);
  }
});

test("checkBits takes a count of unused bits that there are", () => {
  const check = (hex: string) => checkBits(readDer(Buffer.from(hex, "hex"), "b"), "b");
  for (const hex of ["030100", "03020780", "81020000"]) check(hex);
  for (const hex of ["0300", "030101", "03020880", "8102ff00"]) {
    assert.throws(() => check(hex), malformed, hex);
  }
});

test("derSetOf sorts its values as DER demands", () => {
  const set = derSetOf([derUtf8("b"), derUtf8("a"), derInteger(1)]);
  assert.deepEqual(set, derValue(TAG.set, derInteger(1), derUtf8("a"), derUtf8("b")));
});

test("derHead writes lengths in their shortest form", () => {
  const heads = [0, 127, 128, 255, 256, 65_536].map((length) => derHead(4, length).toString("hex"));
  assert.deepEqual(heads, ["0400", "047f", "048180", "0481ff", "04820100", "0483010000"]);
});

test("derAscii refuses text outside ASCII", () => {
  assert.throws(() => derAscii("münchen"), unencodable);
});
