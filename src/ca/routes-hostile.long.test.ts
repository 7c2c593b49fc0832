// The authority's HTTP against names that try to leave a directory, bodies of any kind and callers
// who aren't who they say: over a real socket, so that paths come as they were sent.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type Server } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { getRequestListener } from "@hono/node-server";
import * as fc from "fast-check";
import { certificatePem, createCertificate, parseCertificates } from "../x509/certificate.ts";
import { subjectKeyId } from "../x509/certificate.ts";
import { authorityKeyIdentifier, puppetExtension } from "../x509/extensions.ts";
import { generateEcKey, generateRsaKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { derFrom } from "../x509/pem.ts";
import { requestPem } from "../x509/request.ts";
import { damaged, fuzzed } from "../x509/testing/hostile.ts";
import { hostile } from "../x509/testing/mutate.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const BASE = "/puppet-ca/v1";
const SECRET = "-----BEGIN SECRET-----";
const DAY_MS = 86_400_000;

let fleet: Fleet;
let one: TestServer;
let admin: { certname: string; pem: string };
let server: Server;
let socketPath: string;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  admin = await adminOf(one);
  await one.ca.repair();
  // What no name may lead to: beside the CA directory, in it, beside its folders' files.
  for (const path of ["secret.pem", "0-s1/secret.pem", "0-s1/signed/.secret.pem"]) {
    await writeFile(join(fleet.folder, path), SECRET);
  }
  socketPath = join(fleet.folder, "ca.sock");
  const listener = getRequestListener((request) => one.ca.routes.fetch(request));
  server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await fleet.close();
});

interface Sent {
  method?: string;
  body?: string | Buffer;
  headers?: Record<string, string>;
  as?: { certname: string; pem: string } | undefined;
  /** Pieces of `body`, without a length. */
  chunked?: boolean;
}

/** A request with `path` exactly as it is. */
async function send(path: string, sent: Sent = {}): Promise<{ status: number; text: string }> {
  const { method = "GET", body = "", headers = {}, as, chunked = false } = sent;
  const identity = as && {
    "X-Client-Verify": "SUCCESS",
    "X-Client-DN": `CN=${as.certname}`,
    "X-Client-Cert": encodeURIComponent(as.pem),
  };
  const length = chunked ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const options = { socketPath, path, method, agent: false };
    const asked = httpRequest(
      { ...options, headers: { ...identity, ...length, ...headers } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}

/** Every file below the fleet's folder with its content's hash. */
async function tree(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(fleet.folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path] = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  }
  return files;
}

/** Names as somebody would send them. */
const NAMES = [
  "../secret",
  "..%2fsecret",
  "..%2Fsecret",
  "%2e%2e%2fsecret",
  "%2e%2e/secret",
  "..%5csecret",
  "..\\secret",
  "%252e%252e%252fsecret",
  "..%252fsecret",
  "..%c0%afsecret",
  "%c0%ae%c0%ae%2fsecret",
  "..%ef%bc%8fsecret",
  "....%2f%2fsecret",
  "..;/secret",
  "./secret",
  "%2e%2fsecret",
  ".secret",
  "signed%2f..%2f..%2fsecret",
  "%2fetc%2fpasswd",
  "..%2fca_key",
  "..%2fca_key.pem",
  "..%2f..%2fsecret.pem%00",
  "secret%00",
  "%00",
  "secret%0a",
  "secret%0d%0aX-Evil:%201",
  "..",
  ".",
  "%2e%2e",
  "%",
  "%zz",
  "%ff",
  "*",
  "~root",
  "-rf",
  "a%20b",
  "a%2fb",
  "Secret",
  "%73ecret%2f",
  "x".repeat(300),
];

/** Every route that has a name, and what is sent to it. */
const ENDPOINTS: [method: string, path: string, body: (name: string) => Promise<string>][] = [
  ["GET", "certificate", async () => ""],
  ["GET", "certificate_request", async () => ""],
  // Good but for the name, so that nothing else refuses it.
  ["PUT", "certificate_request", async (name) => agentRequest(name)],
  ["DELETE", "certificate_request", async () => ""],
  ["GET", "certificate_status", async () => ""],
  ["PUT", "certificate_status", async () => '{"desired_state":"signed"}'],
  ["PUT", "certificate_status", async () => '{"desired_state":"revoked"}'],
  ["DELETE", "certificate_status", async () => ""],
];

for (const [method, kind, body] of ENDPOINTS) {
  test(`no name leads ${method} ${kind} out of its directory`, async () => {
    const before = await tree();
    for (const name of NAMES) {
      for (const as of [undefined, admin]) {
        const content = await body(decoded(name));
        const sent = { method, body: content, as };
        const { status, text } = await send(`${BASE}/${kind}/${name}`, sent);
        const what = `${method} ${kind}/${name}: ${status} ${text}`;
        assert.ok([400, 403, 404, 405].includes(status), what);
        assert.ok(!text.includes(SECRET) && !text.includes("PRIVATE KEY"), what);
      }
    }
    assert.deepEqual(await tree(), before);
  });
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

test("no name in a list of names leads out of a directory", async () => {
  const before = await tree();
  const certnames = [...NAMES, ...NAMES.map(decoded)];
  const body = JSON.stringify({ certnames });
  const signed = await send(`${BASE}/sign`, { method: "POST", body, as: admin });
  assert.equal(signed.status, 200);
  assert.deepEqual((JSON.parse(signed.text) as { signed: string[] }).signed, []);
  const cleaned = await send(`${BASE}/clean`, { method: "PUT", body, as: admin });
  assert.equal(cleaned.status, 200);
  assert.match(cleaned.text, /^The following certs do not exist and cannot be revoked/);
  assert.deepEqual(await tree(), before);
});

test("a certificate of another CA with our issuer's name and key identifier opens nothing", async () => {
  const [issuer] = parseCertificates(one.ca.bundle());
  assert.ok(issuer);
  const stranger = { rsa: await generateRsaKey(2048), ec: generateEcKey() };
  for (const signingKey of Object.values(stranger)) {
    const der = createCertificate({
      serial: 2n,
      issuerDer: issuer.subjectDer,
      subjectDer: nameOf({ commonName: "s1.lab.test" }),
      notBeforeMs: Date.now() - DAY_MS,
      notAfterMs: Date.now() + DAY_MS,
      spkiDer: spkiOf(signingKey),
      extensions: [
        puppetExtension("pp_cli_auth", "true"),
        authorityKeyIdentifier({
          keyId: subjectKeyId(issuer) ?? Buffer.alloc(0),
          issuerDer: issuer.issuerDer,
          serial: issuer.serial,
        }),
      ],
      signingKey,
    });
    const as = { certname: "s1.lab.test", pem: certificatePem(der) };
    assert.equal((await send(`${BASE}/certificate_statuses/x`, { as })).status, 403);
    const clean = { method: "PUT", body: '{"certnames":["s1.lab.test"]}', as };
    assert.equal((await send(`${BASE}/clean`, clean)).status, 403);
    assert.equal((await send(`${BASE}/certificate_renewal`, { method: "POST", as })).status, 403);
  }
  assert.equal((await send(`${BASE}/certificate_statuses/x`, { as: admin })).status, 200);
});

test("a body above what is taken gets 413 in one piece or many, and the next request an answer", async () => {
  const cases: [method: string, path: string, bytes: number, as?: typeof admin][] = [
    ["PUT", "certificate_request/big.test", 64 * 1024],
    ["PUT", "certificate_status/big.test", 1024 * 1024, admin],
    ["PUT", "clean", 1024 * 1024, admin],
    ["POST", "sign", 1024 * 1024, admin],
    ["PUT", "certificate_revocation_list", 1024 * 1024, admin],
  ];
  for (const [method, path, bytes, as] of cases) {
    for (const chunked of [false, true]) {
      const body = Buffer.alloc(bytes + 1, " ");
      const { status } = await send(`${BASE}/${path}`, { method, body, as, chunked });
      assert.equal(status, 413, `${method} ${path}, in pieces: ${chunked}`);
    }
  }
  assert.equal((await send(`${BASE}/certificate/ca`)).status, 200);
});

test("content types that are none of Puppet's change nothing about a request for a certificate", async () => {
  const types = [
    "application/json",
    "multipart/form-data",
    "text/html; charset=\u00ff",
    "",
    "x".repeat(4000),
  ];
  for (const [index, type] of types.entries()) {
    const name = `typed${index}.test`;
    const sent = {
      method: "PUT",
      body: await agentRequest(name),
      headers: { "Content-Type": type },
    };
    assert.equal((await send(`${BASE}/certificate_request/${name}`, sent)).status, 200, type);
  }
  const gzip = { method: "PUT", body: "\u001f\u008b", headers: { "Content-Encoding": "gzip" } };
  assert.equal((await send(`${BASE}/certificate_request/gzip.test`, gzip)).status, 400);
});

test("hostile requests for a certificate get 200 or 400, and what is kept can be listed", async () => {
  const good = await agentRequest("fuzz.test");
  const der = derFrom(good, ["CERTIFICATE REQUEST"]);
  const body = fc.oneof(
    hostile(der, [], generateEcKey()).map(requestPem),
    hostile(der).map((bytes) => bytes.toString("latin1")),
    damaged(Buffer.from(good)).map((bytes) => bytes.toString("utf8")),
  );
  await fc.assert(
    fc.asyncProperty(body, async (body) => {
      const path = `${BASE}/certificate_request/fuzz.test`;
      const { status, text } = await put(path, body);
      const large = Buffer.byteLength(body) > 64 * 1024;
      assert.ok(large ? status === 413 : status === 200 || status === 400, `${status} ${text}`);
      assert.doesNotMatch(text, /[^\x20-\x7e]/);
    }),
    fuzzed(250),
  );
  assert.equal((await send(`${BASE}/certificate_statuses/x`, { as: admin })).status, 200);
});

async function put(path: string, body: string): Promise<{ status: number; text: string }> {
  const response = await one.fetch("PUT", path, { body });
  return { status: response.status, text: await response.text() };
}

test("hostile JSON from an administrator never gets 500", async () => {
  const paths: [method: string, path: string][] = [
    ["PUT", "/certificate_status/none.test"],
    ["PUT", "/clean"],
    ["POST", "/sign"],
    ["PUT", "/certificate_revocation_list"],
  ];
  const odd = fc.oneof(
    fc.json(),
    fc.string(),
    fc.constantFrom(DEEP, '{"__proto__":{"certnames":[]}}'),
  );
  const shaped = fc
    .record(
      {
        desired_state: fc.oneof(fc.constantFrom("signed", "revoked"), fc.jsonValue()),
        cert_ttl: fc.jsonValue(),
        certnames: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        async: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    .map((value) => JSON.stringify(value));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.oneof(odd, shaped),
      async ([method, path], body) => {
        const response = await one.fetch(method, BASE + path, { body, as: admin });
        assert.ok(
          response.status < 500,
          `${method} ${path}: ${response.status} ${await response.text()}`,
        );
      },
    ),
    fuzzed(400),
  );
});

/** Nested deeper than a parser that calls itself would get. */
const DEEP = `{"certnames":${"[".repeat(100_000)}${"]".repeat(100_000)}}`;
