import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isCertname, refuseCertname } from "./certname.ts";

const FORMAT = "Subject hostname format is invalid";

void test("refuseCertname says what Puppet Server says, in its order", () => {
  const cases: [cn: string, key: string, because: string | undefined][] = [
    ["a1.lab.test", "a1.lab.test", undefined],
    ["_x.y", "_x.y", undefined],
    ["a_b", "a_b", undefined],
    ["a_", "a_", undefined],
    ["rootca.", "rootca.", undefined],
    ["single", "single", undefined],
    ["a", "b", 'Instance name "a" does not match requested key "b"'],
    ["", "a", 'Instance name "" does not match requested key "a"'],
    ["", "", FORMAT],
    ["a\n", "a", 'Instance name "a?" does not match requested key "a"'],
    ["a\n", "a\n", FORMAT],
    ["UP.lab.test", "UP.lab.test", "Certificate names must be lower case."],
    ["*.lab.test", "*.lab.test", "Subject contains a wildcard, which is not allowed: *.lab.test"],
    ["-a", "-a", FORMAT],
    ["a-", "a-", FORMAT],
    ["a-.b", "a-.b", FORMAT],
    ["a..b", "a..b", FORMAT],
    [".", ".", FORMAT],
    ["..", "..", FORMAT],
    [".a", ".a", FORMAT],
    ["a b", "a b", FORMAT],
    ["a/b", "a/b", FORMAT],
    ["a&b", "a&b", FORMAT],
    ["a\u0000", "a\u0000", FORMAT],
    ["ä", "ä", FORMAT],
    ["x".repeat(252), "x".repeat(252), FORMAT],
    ["ca", "ca", '"ca" is the name of the certificate authority itself'],
  ];
  for (const [cn, key, because] of cases) {
    assert.equal(refuseCertname(cn, key), because, JSON.stringify(cn));
  }
});

void test("isCertname lets nothing pass that could leave a directory or break a line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
      if (!isCertname(name)) return;
      assert.match(name, /^[a-z0-9_][a-z0-9_.-]*$/);
      assert.ok(!name.includes(".."));
      assert.ok(Buffer.byteLength(`${name}.pem`) <= 255);
    }),
  );
});
