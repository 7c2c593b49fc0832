import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { KeyObject } from "node:crypto";
import * as fc from "fast-check";
import { run } from "../host/process.ts";
import { derSequence, derUtf8, derValue, TAG } from "../x509/der.ts";
import {
  basicConstraints,
  puppetExtension,
  subjectAltName,
  type AltName,
  type Extension,
} from "../x509/extensions.ts";
import { decodePem, encodePem } from "../x509/pem.ts";
import { createRequest, parseRequest } from "../x509/request.ts";
import { readRequest, refuseRequest, subjectOf, type NameContext } from "./policy.ts";
import { CA_SETTINGS_DEFAULT, type CaSettings } from "./settings.ts";
import { agentKey } from "./testing/fleet.ts";

let key: KeyObject;
before(async () => {
  key = await agentKey();
});

const NOBODY: NameContext = { protectedNames: new Set(), isCertname: () => false };
const CLUSTER: NameContext = {
  protectedNames: new Set(["s1.lab.test", "puppet.lab.test", "10.88.0.10", "fd00:0:0::0a"]),
  isCertname: (name) => name === "db.lab.test",
};
const LAX: Partial<CaSettings> = { allowSubjectAltNames: true, allowAuthorizationExtensions: true };

function judge(
  extensions: Extension[],
  settings: Partial<CaSettings> = {},
  context = NOBODY,
): string | undefined {
  const read = readRequest(createRequest({ commonName: "a.lab.test", key, extensions }));
  if (!read.ok) return read.because;
  return refuseRequest(read.read, { ...CA_SETTINGS_DEFAULT, ...settings }, context);
}

const san = (...names: string[]) =>
  subjectAltName(
    names.map((name): AltName => {
      const [type = "", value = ""] = name.split(/:(.*)/s);
      return { type: type as AltName["type"], value };
    }),
  );
const raw = (oid: string, value: Buffer): Extension => ({ oid, critical: false, value });

const SAN_TEXT = (list: string) =>
  `CSR 'a.lab.test' contains extra subject alternative names (${list}), which are disallowed. To allow subject alternative names, set allow-subject-alt-names to true in your ca.conf file. Then restart the puppetserver and try signing this certificate again.`;
const AUTH_TEXT =
  "CSR 'a.lab.test' contains an authorization extension, which is disallowed. To allow authorization extensions, set allow-authorization-extensions to true in your ca.conf file. Then restart the puppetserver and try signing this certificate again.";
const notPermitted = (oids: string) => `Found extensions that are not permitted: ${oids}`;

void test("refuseRequest lets pass what Puppet Server lets pass", () => {
  assert.equal(judge([]), undefined);
  assert.equal(judge([san("DNS:a.lab.test")]), undefined);
  assert.equal(judge([puppetExtension("pp_role", "web")]), undefined);
  assert.equal(judge([raw("1.3.6.1.4.1.34380.1.2.1", Buffer.from("abcd"))]), undefined);
  assert.equal(judge([san("DNS:x", "DNS:*.x", "IP:10.0.0.1")], LAX), undefined);
  assert.equal(judge([puppetExtension("pp_auth_role", "x")], LAX), undefined);
});

void test("refuseRequest refuses with Puppet Server's texts, and closes its holes", () => {
  const cases: [extensions: Extension[], settings: Partial<CaSettings>, because: string][] = [
    [[san("DNS:x", "IP:10.0.0.1")], {}, SAN_TEXT("IP:10.0.0.1, DNS:x")],
    [[san("DNS:a.lab.test", "DNS:a.lab.test")], {}, SAN_TEXT("DNS:a.lab.test, DNS:a.lab.test")],
    [[san("email:me@x")], {}, SAN_TEXT("email:me@x")],
    [[san("URI:http://x")], {}, SAN_TEXT("URI:http://x")],
    [[san("email:me@x")], LAX, notPermitted("2.5.29.17")],
    [[san("DNS:x\ny")], LAX, notPermitted("2.5.29.17")],
    [[san("other:a4023000")], LAX, notPermitted("2.5.29.17")],
    [[puppetExtension("pp_authorization", "x")], {}, AUTH_TEXT],
    [[puppetExtension("pp_cli_auth", "true")], {}, AUTH_TEXT],
    [[puppetExtension("pp_cli_auth", "true")], LAX, notPermitted("1.3.6.1.4.1.34380.1.3.39")],
    [[basicConstraints({ ca: true })], LAX, notPermitted("2.5.29.19")],
    [
      [basicConstraints({ ca: true }), raw("1.2.3.4", derUtf8("x"))],
      LAX,
      notPermitted("2.5.29.19, 1.2.3.4"),
    ],
    [[raw("1.3.6.1.4.1.34380.1.1", derUtf8("x"))], LAX, notPermitted("1.3.6.1.4.1.34380.1.1")],
    [
      [raw("1.3.6.1.4.1.34380.1.1.13", derValue(TAG.integer, Buffer.from([5])))],
      LAX,
      notPermitted("1.3.6.1.4.1.34380.1.1.13"),
    ],
    [
      [raw("1.3.6.1.4.1.34380.1.1.13", Buffer.from([0xff, 0xfe]))],
      LAX,
      notPermitted("1.3.6.1.4.1.34380.1.1.13"),
    ],
  ];
  for (const [extensions, settings, because] of cases) {
    assert.equal(judge(extensions, settings), because);
  }
});

void test("refuseRequest gives no agent the name of a member, of the cluster or of another agent", () => {
  for (const name of [
    "DNS:s1.lab.test",
    "DNS:S1.LAB.TEST",
    "DNS:puppet.lab.test",
    "DNS:*.lab.test",
    "IP:10.88.0.10",
    "IP:fd00::a",
    "DNS:db.lab.test",
  ]) {
    const because = judge([san(name)], LAX, CLUSTER);
    assert.match(because ?? "", /no agent|no second one/, name);
  }
  assert.equal(judge([san("DNS:free.lab.test", "IP:10.88.0.1")], LAX, CLUSTER), undefined);
});

void test("refuseRequest knows a name with dots at its end, which Ruby's TLS passes over", () => {
  for (const name of ["s1.lab.test.", "Puppet.Lab.Test..", "*.lab.test.", "db.lab.test."]) {
    const because = judge([san(`DNS:${name}`)], LAX, CLUSTER);
    assert.match(because ?? "", /no agent|no second one/, name);
  }
  const asked = (commonName: string) => {
    const read = readRequest(createRequest({ commonName, key }));
    assert.ok(read.ok);
    const isCertname = (name: string) => ["db.lab.test", "web.lab.test."].includes(name);
    return refuseRequest(read.read, CA_SETTINGS_DEFAULT, { ...CLUSTER, isCertname });
  };
  assert.match(asked("puppet.lab.test.") ?? "", /^puppet\.lab\.test\. is a name of the servers/);
  assert.match(asked("db.lab.test.") ?? "", /^db\.lab\.test\. stands for db\.lab\.test, another's/);
  assert.match(
    asked("web.lab.test") ?? "",
    /^web\.lab\.test stands for web\.lab\.test\., another's/,
  );
  for (const own of ["db.lab.test", "web.lab.test.", "rootca."])
    assert.equal(asked(own), undefined);
});

void test("subjectOf writes every Puppet extension as a UTF8String", () => {
  const oid = "1.3.6.1.4.1.34380.1.1.13";
  for (const value of [
    derUtf8("web"),
    derValue(TAG.printableString, Buffer.from("web")),
    derValue(TAG.ia5String, Buffer.from("web")),
    Buffer.from("web"),
  ]) {
    const pem = createRequest({ commonName: "a", key, extensions: [raw(oid, value)] });
    const read = readRequest(pem);
    assert.ok(read.ok);
    assert.deepEqual(subjectOf(read.read).extensions[0]?.value, derUtf8("web"));
  }
});

void test("readRequest refuses hostile requests with a reason, and never throws", () => {
  const good = createRequest({ commonName: "a", key });
  const der = decodePem(good)[0]?.der ?? Buffer.alloc(0);
  const { tbsDer } = parseRequest(good);
  const broken = Buffer.from(der);
  broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
  const cases: [text: string, because: RegExp][] = [
    ["", /can't be read/],
    ["garbage", /can't be read/],
    [good + good, /2 PEM blocks/],
    [good.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"), /PEM block CERTIFICATE/],
    [encodePem("CERTIFICATE REQUEST", derSequence()), /can't be read/],
    [
      encodePem("CERTIFICATE REQUEST", broken),
      /^CSR contains a public key that does not correspond to the signing key$/,
    ],
    ["-----BEGIN CERTIFICATE REQUEST-----\n", /no end/],
  ];
  for (const [text, because] of cases) {
    const read = readRequest(text);
    assert.ok(!read.ok, text.slice(0, 60));
    assert.match(read.because, because);
  }
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.nat(255), fc.boolean(), (at, value, cut) => {
      const mutated = Buffer.from(cut ? der.subarray(0, at) : der);
      if (!cut) mutated[at] = value;
      const read = readRequest(encodePem("CERTIFICATE REQUEST", mutated));
      // Of what isn't signed, the outer algorithm's parameters may differ.
      assert.ok(!read.ok || read.read.request.tbsDer.equals(tbsDer));
    }),
    { numRuns: 300 },
  );
});

void test("readRequest says which key or signature it can't verify, not that the key is a stranger's", async () => {
  const cases: [words: string, because: RegExp][] = [
    ["ed25519", /: a key of type ed25519 is not supported\. Keys may be RSA of 1024 bits/],
    ["ec -pkeyopt ec_paramgen_curve:secp256k1", /: a key of type ec secp256k1 is not supported/],
    ["rsa:768", /: a key of type rsa 768 is not supported/],
    ["rsa:2048 -sigopt rsa_padding_mode:pss", /algorithm 1\.2\.840\.113549\.1\.1\.10 is not/],
  ];
  for (const [words, because] of cases) {
    const argv = ["req", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=a", "-newkey"];
    const read = readRequest(await run(["openssl", ...argv, ...words.split(" ")]));
    assert.ok(!read.ok, words);
    assert.match(read.because, because);
  }
});
