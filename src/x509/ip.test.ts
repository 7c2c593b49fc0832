import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { ipBytes, ipText } from "./ip.ts";

test("ipText gives back what ipBytes took, in one canonical form", () => {
  const length = fc.constantFrom(4, 16);
  const bytes = length.chain((n) =>
    fc.array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: n, maxLength: n }),
  );
  fc.assert(
    fc.property(bytes, (bytes) => {
      assert.deepEqual([...ipBytes(ipText(Buffer.from(bytes)) ?? "")], bytes);
    }),
  );
});

const CANONICAL: [string, string][] = [
  ["10.0.0.1", "10.0.0.1"],
  ["::", "::"],
  ["0:0:0:0:0:0:0:1", "::1"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
  ["fe80::", "fe80::"],
];
for (const [input, text] of CANONICAL) {
  test(`ipText prints ${input} as ${text}`, () => assert.equal(ipText(ipBytes(input)), text));
}

test("ipBytes refuses what is no address", () => {
  for (const text of ["", "10.0.0", "10.0.0.256", "1::2::3", "fe80::1%eth0", "10.0.0.0/8"]) {
    assert.throws(
      () => ipBytes(text),
      (error) => isFault(error, "x509.unencodable"),
    );
  }
});

test("ipText knows no address of another length", () => {
  assert.equal(ipText(Buffer.alloc(8)), undefined);
});
