// What becomes of requests for certificates, told over HTTP as agents and `puppetserver ca` see it:
// what is issued bit for bit, duplicates, what waits and what is forgotten.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { run } from "../host/process.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { puppetExtension, subjectAltName } from "../x509/extensions.ts";
import { generateEcKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { OID } from "../x509/oids.ts";
import { createRequest, parseRequest, requestPem } from "../x509/request.ts";
import { algorithmFor, assembleSigned, signTbs } from "../x509/signed.ts";
import { opensslFolder } from "../x509/testing/openssl.ts";
import { CA_SETTINGS_DEFAULT } from "./settings.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const BASE = "/puppet-ca/v1";
const { openssl, write, read } = opensslFolder();

let fleet: Fleet;
let one: TestServer;
let admin: { certname: string; pem: string };
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  one.run();
  admin = await adminOf(one);
});
after(() => fleet.close());
beforeEach(() => {
  fleet.settings = { ...CA_SETTINGS_DEFAULT };
});

async function ask(method: string, path: string, body?: string): Promise<[number, string]> {
  const as = path.startsWith("/certificate_status") || method === "DELETE" ? { as: admin } : {};
  const sent = body === undefined ? as : { ...as, body };
  const answer = await one.fetch(method, BASE + path, sent);
  return [answer.status, await answer.text()];
}

const put = (name: string, pem: string) => ask("PUT", `/certificate_request/${name}`, pem);
const wish = (name: string, state: "signed" | "revoked") =>
  ask("PUT", `/certificate_status/${name}`, JSON.stringify({ desired_state: state }));
const certificateOf = async (name: string) => (await ask("GET", `/certificate/${name}`))[1];

/** What openssl makes of the profile of Puppet Server's certificates. */
const PROFILE = `
subjectAltName=IP:10.0.0.1,DNS:web.test,DNS:NAME
nsComment="Puppet Server Internal Certificate"
authorityKeyIdentifier=keyid:always,issuer:always
subjectKeyIdentifier=hash
1.3.6.1.4.1.34380.1.1.13=ASN1:UTF8String:web
basicConstraints=critical,CA:FALSE
extendedKeyUsage=critical,serverAuth,clientAuth
keyUsage=critical,digitalSignature,keyEncipherment
`;
/** A request with more in it than goes into a certificate. */
const REQUEST = `
[req]
prompt=no
distinguished_name=dn
attributes=attributes
req_extensions=extensions
[dn]
O=Example
CN=NAME
OU=Web
[attributes]
challengePassword=secret
[extensions]
subjectAltName=DNS:web.test,IP:10.0.0.1
1.3.6.1.4.1.34380.1.1.13=ASN1:PRINTABLESTRING:web
`;

for (const [kind, words] of [
  ["rsa", "rsa:2048"],
  ["ec", "ec -pkeyopt ec_paramgen_curve:P-256"],
] as const) {
  test(`a certificate for an ${kind} key has the bytes that openssl gives it, and no more of its request`, async () => {
    const name = `${kind}.test`;
    fleet.settings = { ...CA_SETTINGS_DEFAULT, autosign: true, allowSubjectAltNames: true };
    write("r.cnf", REQUEST.replaceAll("NAME", name));
    write("profile", PROFILE.replaceAll("NAME", name));
    openssl(
      ..."req -new -nodes -config r.cnf -keyout k.pem -out r.pem -newkey".split(" "),
      ...words.split(" "),
    );
    assert.deepEqual(await put(name, read("r.pem").toString()), [200, ""]);
    const ours = parseCertificate(await certificateOf(name));
    const ca = join(fleet.folder, "original");
    write("ca.pem", one.ca.bundle());
    const made = `x509 -req -in r.pem -CA ca.pem -CAkey ${ca}/ca_key.pem -set_serial 7 -extfile profile`;
    const theirs = parseCertificate(
      openssl(...made.split(" ")).replace(/^[^]*?(?=-----BEGIN)/, ""),
    );
    assert.deepEqual(ours.extensions, theirs.extensions);
    assert.deepEqual(ours.spkiDer, theirs.spkiDer);
    assert.deepEqual(ours.issuerDer, theirs.issuerDer);
    assert.equal(ours.signatureAlgorithm, OID.sha256WithRsa);
    assert.deepEqual(ours.subjectDer, nameOf({ commonName: name }));
    assert.ok(Math.abs(ours.notBefore + 86_400_000 - Date.now()) < 60_000);
    assert.ok(Math.abs(ours.notAfter - 157_680_000_000 - Date.now()) < 60_000);
    // Root and intermediate, as an agent has them.
    const verify = ["openssl", "verify", "-CAfile", `${ca}/ca_crt.pem`, "-purpose", "sslserver"];
    assert.match(await run([...verify, join(one.cadir, `signed/${name}.pem`)]), /OK/);
  });
}

test("puppetserver ca generate gets its certificate, though it says that its request is of version 3", async () => {
  const name = "generated.test";
  const key = generateEcKey();
  const extensions = [subjectAltName([{ type: "DNS", value: name }])];
  const tbs = Buffer.from(
    parseRequest(createRequest({ commonName: name, key, extensions })).tbsDer,
  );
  tbs[tbs.indexOf(Buffer.from([2, 1, 0])) + 2] = 2;
  const pem = requestPem(assembleSigned(tbs, algorithmFor(key), signTbs(tbs, key)));
  assert.deepEqual(await put(name, pem), [200, ""]);
  const missing = [404, `Could not find certificate ${name}`];
  assert.deepEqual(await ask("GET", `/certificate/${name}`), missing);
  assert.deepEqual(await wish(name, "signed"), [204, ""]);
  assert.deepEqual(parseCertificate(await certificateOf(name)).spkiDer, spkiOf(key));
});

test("what a request marks as critical is critical in its certificate", async () => {
  fleet.settings = { ...CA_SETTINGS_DEFAULT, autosign: true, allowSubjectAltNames: true };
  const extensions = [
    subjectAltName([{ type: "DNS", value: "*.apps.test" }], true),
    puppetExtension("pp_role", "web", true),
  ];
  await put("critical.test", await agentRequest("critical.test", extensions));
  const issued = parseCertificate(await certificateOf("critical.test")).extensions;
  const criticalOids = issued.filter(({ critical }) => critical).map(({ oid }) => oid);
  const usual = [OID.basicConstraints, OID.extendedKeyUsage, OID.keyUsage];
  assert.deepEqual(criticalOids, [OID.subjectAltName, "1.3.6.1.4.1.34380.1.1.13", ...usual]);
});

test("a duplicate is told by the name in the request, before all else that is wrong with it", async () => {
  const said = (state: string) => [
    400,
    `dup.test already has a ${state} certificate; ignoring certificate request`,
  ];
  const pem = await agentRequest("dup.test");
  assert.deepEqual(await put("dup.test", pem), [200, ""]);
  assert.deepEqual(await put("dup.test", pem), said("requested"));
  assert.deepEqual(await put("other.test", pem), said("requested"));
  assert.deepEqual(await wish("dup.test", "signed"), [204, ""]);
  assert.deepEqual(await put("other.test", pem), said("signed"));
  assert.deepEqual(await wish("dup.test", "revoked"), [204, ""]);
  assert.deepEqual(await put("dup.test", pem), said("revoked"));
});

test("with allow_duplicate_certs a request takes the place of another, and its certificate too", async () => {
  fleet.settings.allowDuplicateCerts = true;
  const [former, newer] = [generateEcKey(), generateEcKey()];
  const request = createRequest({ commonName: "again.test", key: former });
  const newest = createRequest({ commonName: "again.test", key: newer });
  assert.deepEqual(await put("again.test", request), [200, ""]);
  assert.deepEqual(await put("again.test", newest), [200, ""]);
  assert.deepEqual(await ask("GET", "/certificate_request/again.test"), [200, newest]);
  assert.deepEqual(await wish("again.test", "signed"), [204, ""]);
  const first = parseCertificate(await certificateOf("again.test"));
  assert.deepEqual(first.spkiDer, spkiOf(newer));
  assert.deepEqual(await put("again.test", request), [200, ""]);
  // What is shown of a name with both is its certificate.
  const [, status] = await ask("GET", "/certificate_status/again.test");
  assert.equal((JSON.parse(status) as { state: string }).state, "signed");
  // A request for a name that has one may be signed, whatever the setting is by then.
  fleet.settings.allowDuplicateCerts = false;
  assert.deepEqual(await wish("again.test", "signed"), [204, ""]);
  const second = parseCertificate(await certificateOf("again.test"));
  assert.deepEqual(second.spkiDer, spkiOf(former));
  const revoked = one.ca.revocations().map(({ serial }) => Number.parseInt(serial, 16));
  assert.ok(!revoked.includes(Number(first.serial)));
});

test("what policy refuses at signing gets its text with 409, and can be deleted", async () => {
  const pem = await agentRequest("odd.test", [puppetExtension("pp_auth_role", "x")]);
  assert.deepEqual(await put("odd.test", pem), [200, ""]);
  const [code, text] = await wish("odd.test", "signed");
  assert.equal(code, 409);
  assert.match(
    text,
    /^CSR 'odd\.test' contains an authorization extension, which is disallowed\. /,
  );
  assert.deepEqual(await ask("DELETE", "/certificate_request/odd.test"), [204, ""]);
  const path = join(one.cadir, "requests/odd.test.pem");
  const gone = `No certificate request for odd.test at expected path ${path}`;
  assert.deepEqual(await ask("DELETE", "/certificate_request/odd.test"), [404, gone]);
});

test("certificate_status shows what it has of a request and of its certificate, and no more", async () => {
  fleet.settings = { ...CA_SETTINGS_DEFAULT, allowSubjectAltNames: true };
  fleet.settings.allowAuthorizationExtensions = true;
  const extensions = [
    subjectAltName([
      { type: "DNS", value: "web.test" },
      { type: "IP", value: "10.0.0.1" },
    ]),
    puppetExtension("pp_auth_role", "web"),
    puppetExtension("1.3.6.1.4.1.34380.1.3.99", "x"),
  ];
  await put("shown.test", await agentRequest("shown.test", extensions));
  const status = async () => {
    const [, text] = await ask("GET", "/certificate_status/shown.test");
    return JSON.parse(text) as Record<string, unknown>;
  };
  const print = { SHA1: "", SHA256: "", SHA512: "", default: "" };
  const common = {
    name: "shown.test",
    authorization_extensions: { pp_auth_role: "web", "1.3.6.1.4.1.34380.1.3.99": "x" },
    fingerprint: "",
    fingerprints: print,
  };
  const waiting = await status();
  const prints = waiting["fingerprints"] as typeof print;
  assert.deepEqual(Object.keys(prints).sort(), Object.keys(print).sort());
  assert.ok(Object.values(prints).every((text) => /^[0-9A-F]{2}(:[0-9A-F]{2}){19,63}$/.test(text)));
  assert.equal(waiting["fingerprint"], prints.SHA256);
  assert.equal(prints.default, prints.SHA256);
  assert.deepEqual(
    { ...waiting, fingerprint: "", fingerprints: print },
    {
      ...common,
      state: "requested",
      dns_alt_names: ["DNS:web.test"],
      subject_alt_names: ["IP:10.0.0.1", "DNS:web.test"],
    },
  );
  await wish("shown.test", "signed");
  const { serial_number: serial, not_before: from, not_after: to, ...signed } = await status();
  assert.equal(
    BigInt(serial as number),
    parseCertificate(await certificateOf("shown.test")).serial,
  );
  for (const time of [from, to]) assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dUTC$/);
  assert.deepEqual(
    { ...signed, fingerprint: "", fingerprints: print },
    {
      ...common,
      state: "signed",
      dns_alt_names: ["DNS:web.test", "DNS:shown.test"],
      subject_alt_names: ["IP:10.0.0.1", "DNS:web.test", "DNS:shown.test"],
    },
  );
});

test("DELETE forgets certificate and request without revoking; clean revokes, and leaves a request", async () => {
  fleet.settings.allowDuplicateCerts = true;
  for (const name of ["gone.test", "clean.test"]) {
    await put(name, await agentRequest(name));
    await wish(name, "signed");
    await put(name, await agentRequest(name));
  }
  const number = one.ca.currentCrl()?.number;
  assert.deepEqual(await ask("DELETE", "/certificate_status/gone.test"), [204, ""]);
  assert.equal((await ask("GET", "/certificate/gone.test"))[0], 404);
  assert.equal((await ask("GET", "/certificate_request/gone.test"))[0], 404);
  assert.equal((await ask("GET", "/certificate_status/gone.test"))[0], 404);
  assert.equal(one.ca.currentCrl()?.number, number);

  const body = '{"certnames":["clean.test"]}';
  const cleaned = await one.fetch("PUT", `${BASE}/clean`, { body, as: admin });
  assert.equal(await cleaned.text(), "Successfully cleaned all certs.");
  assert.equal((await ask("GET", "/certificate/clean.test"))[0], 404);
  assert.equal((await ask("GET", "/certificate_request/clean.test"))[0], 200);
  assert.equal(one.ca.currentCrl()?.number, (number ?? 0) + 1);
});

test("a revocation that is asked for again is answered, and makes no CRL", async () => {
  await put("twice.test", await agentRequest("twice.test"));
  await wish("twice.test", "signed");
  assert.deepEqual(await wish("twice.test", "revoked"), [204, ""]);
  const number = one.ca.currentCrl()?.number;
  assert.deepEqual(await wish("twice.test", "revoked"), [204, ""]);
  assert.equal(one.ca.currentCrl()?.number, number);
  // Served until it is cleaned.
  assert.equal((await ask("GET", "/certificate/twice.test"))[0], 200);
});

test("status is JSON under the name that it is asked for by", async () => {
  const cases: [accept: string | undefined, type: string | undefined][] = [
    [undefined, "application/json"],
    ["", "application/json"],
    ["application/json", "application/json"],
    ["*/*", "application/json"],
    ["text/html, application/*;q=0.5", "application/json"],
    ["pson", "pson"],
    ["text/PSON; q=1", "text/pson"],
    ["pson, application/json", "application/json"],
    ["text/html", undefined],
    ["jsonx", undefined],
  ];
  for (const [accept, type] of cases) {
    const headers: Record<string, string> = accept === undefined ? {} : { Accept: accept };
    for (const path of ["certificate_status/s1.lab.test", "certificate_statuses/*"]) {
      const answer = await one.fetch("GET", `${BASE}/${path}`, { as: admin, headers });
      const [status, said] = [answer.status, answer.headers.get("content-type")];
      if (type === undefined) assert.equal(status, 406, `${path} ${accept}`);
      else assert.deepEqual([status, said], [200, `${type};charset=utf-8`], `${path} ${accept}`);
    }
  }
});
