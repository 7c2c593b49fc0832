import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { readCaConf, usesInfraCrl } from "./settings.ts";

void test("readCaConf reads what Debian's and the vendor's ca.conf say", () => {
  const text = `
# ca settings
certificate-authority: {
    # allow CA to sign certificate requests that have subject alternative names.
    allow-subject-alt-names: true
    // another comment
    "allow-authorization-extensions" = false,
    certificate-status: { authorization-required: true, client-whitelist: ["a b", c] }
    ca-ttl: 90d
    allow-auto-renewal: true
    auto-renewal-cert-ttl: "60d"
    enable-infra-crl: true }
other { nested.key: { } }
`;
  assert.deepEqual(readCaConf(text), {
    allowSubjectAltNames: true,
    allowAuthorizationExtensions: false,
    allowAutoRenewal: true,
    caTtlSeconds: 90 * 86_400,
    autoRenewalTtlSeconds: 60 * 86_400,
  });
  assert.deepEqual(readCaConf(""), {});
  assert.deepEqual(readCaConf("{ certificate-authority { } }"), {});
});

void test("readCaConf reads names with dots, and a section in parts, as puppetserver does", () => {
  const text = `
certificate-authority.allow-subject-alt-names: true
certificate-authority { ca-ttl: 1d, certificate-status { client-whitelist: [a] } }
certificate-authority.certificate-status.authorization-required = false
certificate-authority: { ca-ttl: 2d }
"certificate-authority.allow-auto-renewal": true
__proto__.enable-infra-crl: true
`;
  assert.deepEqual(readCaConf(text), { allowSubjectAltNames: true, caTtlSeconds: 2 * 86_400 });
  assert.equal(usesInfraCrl(text), false);
  assert.throws(
    () => readCaConf(`${"a.".repeat(100)}b: 1`),
    (error) => isFault(error, "ca.conf"),
  );
});

void test("readCaConf takes a text from where the file has it, and nothing that it hasn't", () => {
  const text = `
certificate-authority: { ca-ttl: \${times.long}, auto-renewal-cert-ttl: "\${times.long}" }
certificate-authority: { ca-ttl: \${times.short} }
times: { short: 1d, long: 30d, list: [1d], other: \${times.short} }
`;
  const read = (changed: string) => readCaConf(text.replace('"${times.long}"', changed));
  assert.deepEqual(read("2d"), { caTtlSeconds: 86_400, autoRenewalTtlSeconds: 2 * 86_400 });
  assert.equal(read("${times.long}").autoRenewalTtlSeconds, 30 * 86_400);
  for (const odd of ["${times.none}", "${times.list}", "${times}", "${?times.long}"]) {
    assert.throws(
      () => read(odd),
      (error) => isFault(error, "ca.conf") && error.message.startsWith("line 2:"),
      odd,
    );
  }
  for (const odd of ["${times.long} more", "more ${times.long}", "[a ${times.long}]"]) {
    assert.throws(
      () => read(odd),
      (error) => isFault(error, "ca.conf"),
      odd,
    );
  }
});

void test("usesInfraCrl says whether agents get a list of revoked servers only", () => {
  const setting = (value: string) => `certificate-authority: { enable-infra-crl: ${value} }`;
  assert.equal(usesInfraCrl(setting("true")), true);
  assert.equal(usesInfraCrl(setting("false")), false);
  assert.equal(usesInfraCrl("certificate-authority: {}"), false);
  assert.throws(
    () => usesInfraCrl(setting("${x}")),
    (error) => isFault(error, "ca.conf"),
  );
});

void test("readCaConf refuses what it doesn't understand, with the line", () => {
  for (const text of ["a: {\n b: ${x}\n}", "a: {", "a: [", "}", "a", 'a: "x', "a: {{{{"]) {
    assert.throws(
      () => readCaConf(text),
      (error) => isFault(error, "ca.conf") && /^line \d+:/.test(error.message),
      text,
    );
  }
  assert.throws(
    () => readCaConf("{a:".repeat(100)),
    (error) => isFault(error, "ca.conf"),
  );
});

void test("readCaConf refuses a life that stock doesn't start with, and none at all", () => {
  const ttl = (name: string, value: string) =>
    readCaConf(`certificate-authority: { ${name}: ${value} }`);
  for (const name of ["ca-ttl", "auto-renewal-cert-ttl"]) {
    for (const value of ["0", "0d", "51y", "1576800001", `${"9".repeat(400)}y`]) {
      assert.throws(
        () => ttl(name, value),
        (error) => isFault(error, "ca.conf") && error.message.startsWith(`${name} comes to `),
        value.slice(0, 20),
      );
    }
  }
  assert.deepEqual(ttl("ca-ttl", "50y"), { caTtlSeconds: 1_576_800_000 });
});
