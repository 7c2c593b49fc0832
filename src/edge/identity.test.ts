// Keys of revoked certificates. That HAProxy computes the same ones: agents.long.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { issuerKey, revocationKey } from "./identity.ts";

const CASES: [string, string][] = [
  ["1", "01"],
  ["01", "01"],
  ["0001", "01"],
  ["a", "0A"],
  ["FF", "FF"],
  ["00ff", "FF"],
  ["100", "0100"],
  ["7fffffff", "7FFFFFFF"],
  ["0", "00"],
  ["000", "00"],
];
for (const [serial, expected] of CASES) {
  test(`revocationKey writes the serial ${serial} as ${expected}`, () => {
    assert.equal(revocationKey("CN=ca", serial), `${issuerKey("CN=ca")}:${expected}`);
  });
}

for (const serial of ["", "-1", "0x1", "1 ", "g", "1\n2"]) {
  test(`revocationKey refuses the serial ${JSON.stringify(serial)}`, () => {
    assert.throws(
      () => revocationKey("CN=ca", serial),
      (error) => isFault(error, "edge.serial"),
    );
  });
}

test("revocationKey is equal exactly for equal issuers and numbers, and fits a line", () => {
  const serial = fc.bigInt({ min: 0n, max: 2n ** 160n });
  fc.assert(
    fc.property(fc.string(), fc.string(), serial, serial, (one, two, first, second) => {
      const a = revocationKey(one, first.toString(16));
      const b = revocationKey(two, `00${second.toString(16).toUpperCase()}`);
      assert.equal(a === b, one === two && first === second);
      assert.match(a, /^[0-9A-F]{16}:([0-9A-F]{2})+$/);
    }),
  );
});
