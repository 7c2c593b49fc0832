import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { decodePem, derFrom, dersFrom, encodePem } from "./pem.ts";
import { valueOrFault } from "./testing/hostile.ts";

const malformed = (error: unknown) => isFault(error, "x509.malformed");
const block = (body: string) => `-----BEGIN X-----\n${body}\n-----END X-----\n`;

test("decodePem gives back the blocks that encodePem wrote, text between them ignored", () => {
  const der = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  const blocks = fc.array(
    fc.record(
      { label: fc.constantFrom("CERTIFICATE", "X509 CRL", "PRIVATE KEY"), der },
      { noNullPrototype: true },
    ),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(blocks, (blocks) => {
      const text = blocks.map(({ label, der }) => `# ${label}\r\n${encodePem(label, der)}\n`);
      assert.deepEqual(decodePem(text.join("")), blocks);
    }),
  );
});

test("decodePem takes other line lengths, CRLF and blanks at the ends of lines", () => {
  assert.deepEqual(decodePem("-----BEGIN X-----\r\nAQ\r\nID \r\n-----END X-----"), [
    { label: "X", der: Buffer.from([1, 2, 3]) },
  ]);
});

const REFUSED: [string, string][] = [
  ["a block without end", "-----BEGIN X-----\nAQID\n"],
  ["an end without begin", "AQID\n-----END X-----\n"],
  ["a begin inside a block", "-----BEGIN X-----\n-----BEGIN X-----\nAQID\n-----END X-----\n"],
  ["an end of another label", "-----BEGIN X-----\nAQID\n-----END Y-----\n"],
  ["an empty block", block("")],
  ["missing padding", block("AQI")],
  ["bits that padding hides", block("AQJ=")],
  ["padding in the middle", block("AQ==AQID")],
  ["the URL alphabet", block("-_-_")],
  ["blanks inside a line", block("AQ ID")],
  ["headers", block("Proc-Type: 4,ENCRYPTED\n\nAQID")],
];
for (const [what, text] of REFUSED) {
  test(`decodePem refuses ${what}`, () => assert.throws(() => decodePem(text), malformed));
}

test("decodePem makes blocks or a Fault of any text", () => {
  const words = ["-----BEGIN X-----", "-----END X-----", "\n", "\r\n", "AQID", "=", " ", "-----"];
  const text = fc
    .array(fc.oneof(fc.constantFrom(...words), fc.string()))
    .map((all) => all.join(""));
  fc.assert(
    fc.property(text, (text) => valueOrFault(() => decodePem(text))),
    { numRuns: 500 },
  );
});

test("derFrom takes DER, PEM text and PEM bytes, and one object only", () => {
  const der = Buffer.from([0x30, 0]);
  const pem = encodePem("X", der);
  for (const input of [der, pem, Buffer.from(pem)]) assert.deepEqual(derFrom(input, ["X"]), der);
  assert.deepEqual(dersFrom(pem + pem, ["X"]), [der, der]);
  assert.throws(() => derFrom(pem + pem, ["X"]), malformed);
  assert.throws(() => derFrom("", ["X"]), malformed);
  assert.throws(() => derFrom(pem, ["Y"]), malformed);
  assert.throws(() => derFrom(" ".repeat(401), ["X"], 100), /401 bytes/);
});
