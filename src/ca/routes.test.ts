import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { run } from "../host/process.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const BASE = "/puppet-ca/v1";

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

async function submit(name: string, autosign = false): Promise<void> {
  fleet.settings.autosign = autosign;
  await one.ca.submit({ pem: await agentRequest(name), key: name });
}

async function agentOf(name: string): Promise<{ certname: string; pem: string }> {
  await submit(name, true);
  const pem = await (await one.fetch("GET", `${BASE}/certificate/${name}`)).text();
  return { certname: name, pem };
}

void test("routes answer 403 with Puppet Server's text to whoever may not, whatever is there", async () => {
  const agent = await agentOf("agent.test");
  const paths: [method: string, path: string][] = [
    ["GET", "/certificate_status/agent.test"],
    ["PUT", "/certificate_status/agent.test"],
    ["DELETE", "/certificate_status/agent.test"],
    ["GET", "/certificate_statuses/x"],
    ["PUT", "/clean"],
    ["DELETE", "/certificate_request/agent.test"],
    ["POST", "/sign"],
    ["PUT", "/certificate_revocation_list"],
    ["GET", "/nonsense"],
    ["HEAD", "/certificate/ca"],
  ];
  for (const [method, path] of paths) {
    for (const as of [undefined, agent]) {
      const answer = await one.fetch(method, BASE + path, as === undefined ? {} : { as });
      assert.equal(answer.status, 403, `${method} ${path}`);
      const text = `Forbidden request: ${BASE}${path} (method :${method.toLowerCase()}). Please see the server logs for details.`;
      if (method !== "HEAD") assert.equal(await answer.text(), text);
      assert.equal(answer.headers.get("x-puppet-version"), "7.23.0");
    }
  }
});

void test("routes believe identity headers only as far as they prove themselves", async () => {
  const other = await run(
    [
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "/dev/null",
      "-subj",
      "/CN=s1.lab.test",
      "-addext",
      "1.3.6.1.4.1.34380.1.3.39=ASN1:UTF8String:true",
    ],
    {},
  );
  const cert = encodeURIComponent(admin.pem);
  const verified = { "X-Client-Verify": "SUCCESS", "X-Client-DN": "CN=s1.lab.test" };
  const cases: [headers: Record<string, string>, code: number][] = [
    [{ ...verified, "X-Client-Cert": cert }, 200],
    [{ ...verified, "X-Client-DN": '"CN=s1.lab.test"', "X-Client-Cert": cert }, 200],
    [{ ...verified, "X-Client-Verify": "NONE", "X-Client-Cert": cert }, 403],
    [{ ...verified, "X-Client-Verify": "success", "X-Client-Cert": cert }, 403],
    [{ ...verified, "X-Client-DN": "CN=s2.lab.test", "X-Client-Cert": cert }, 403],
    [{ ...verified, "X-Client-DN": "O=x,CN=s1.lab.test", "X-Client-Cert": cert }, 403],
    [{ ...verified, "X-Client-DN": "", "X-Client-Cert": cert }, 403],
    [verified, 403],
    [{ ...verified, "X-Client-Cert": encodeURIComponent(other) }, 403],
    [{ ...verified, "X-Client-Cert": "%" }, 400],
    [{ ...verified, "X-Client-Cert": "nothing" }, 400],
    [{ ...verified, "X-Client-Cert": cert + cert }, 400],
    [
      {
        ...verified,
        "X-Client-Cert": "-----BEGIN%20CERTIFICATE-----%0AAAAA%0A-----END%20CERTIFICATE-----",
      },
      400,
    ],
  ];
  for (const [headers, code] of cases) {
    const answer = await one.fetch("GET", `${BASE}/certificate_statuses/x`, { headers });
    assert.equal(answer.status, code, JSON.stringify(headers).slice(0, 120));
  }
  const revoked = await adminOf(one, "fired.test");
  assert.equal(
    (await one.fetch("GET", `${BASE}/certificate_statuses/x`, { as: revoked })).status,
    200,
  );
  await one.ca.revoke({ names: ["fired.test"] });
  assert.equal(
    (await one.fetch("GET", `${BASE}/certificate_statuses/x`, { as: revoked })).status,
    403,
  );
});

void test("certificate_status refuses what is wrong, in Puppet Server's order and words", async () => {
  await submit("waits.test");
  await agentOf("signed.test");
  const put = (name: string, body: string, headers: Record<string, string> = {}) =>
    one.fetch("PUT", `${BASE}/certificate_status/${name}`, { body, headers, as: admin });
  const cases: [name: string, body: string, code: number, text: string | RegExp][] = [
    ["waits.test", "", 400, "Empty request body."],
    ["waits.test", "x", 400, "Request body is not JSON."],
    ["waits.test", "[1]", 400, "Request body is not JSON."],
    ["waits.test", "{}", 400, 'Missing required parameter "desired_state"'],
    [
      "waits.test",
      '{"desired_state":"x"}',
      400,
      "State x invalid; Must specify desired state of 'signed' or 'revoked' for host waits.test.",
    ],
    [
      "waits.test",
      '{"desired_state":"signed","cert_ttl":"3600"}',
      400,
      'cert_ttl specified for host waits.test must be an integer, not "3600"',
    ],
    ["waits.test", '{"desired_state":"signed","cert_ttl":1e300}', 400, /must be an integer/],
    ["waits.test", '{"desired_state":"signed","cert_ttl":0}', 400, /must be 1 to/],
    ["waits.test", '{"desired_state":"signed","cert_ttl":-5}', 400, /must be 1 to/],
    ["none.test", '{"desired_state":"signed"}', 404, "Invalid certificate subject."],
    ["NONE.test", '{"desired_state":"signed"}', 404, "Invalid certificate subject."],
    [
      "waits.test",
      '{"desired_state":"revoked"}',
      409,
      "Cannot revoke certificate for host waits.test without a signed certificate",
    ],
    [
      "signed.test",
      '{"desired_state":"signed"}',
      409,
      "Cannot sign certificate for host signed.test without a certificate request",
    ],
  ];
  for (const [name, body, code, text] of cases) {
    const answer = await put(name, body);
    assert.equal(answer.status, code, body);
    const said = await answer.text();
    if (typeof text === "string") assert.equal(said, text);
    else assert.match(said, text);
  }
  const wish = '{"desired_state":"signed","cert_ttl":60}';
  assert.equal((await put("waits.test", wish, { "Content-Type": "text/html" })).status, 415);
  const pson = { "Content-Type": "text/pson; charset=utf-8" };
  assert.equal((await put("waits.test", wish, pson)).status, 204);
  const status = await one.fetch("GET", `${BASE}/certificate_status/waits.test`, { as: admin });
  const { not_after: notAfter } = (await status.json()) as { not_after: string };
  assert.ok(Date.parse(notAfter.replace("UTC", "Z")) < Date.now() + 61_000);
  const refused = await one.fetch("GET", `${BASE}/certificate_status/waits.test`, {
    as: admin,
    headers: { Accept: "text/html" },
  });
  assert.equal(refused.status, 406);
  assert.equal((await put("waits.test", '{"desired_state":"revoked"}')).status, 204);
  assert.equal((await put("waits.test", '{"desired_state":"revoked"}')).status, 204);
  const remove = () => one.fetch("DELETE", `${BASE}/certificate_status/waits.test`, { as: admin });
  assert.equal((await remove()).status, 204);
  const gone = await remove();
  assert.equal(gone.status, 404);
  assert.equal(await gone.text(), "Resource not found.");
});

void test("certificate_statuses filters by state, and one odd request hides nothing", async () => {
  await submit("listed.test");
  const list = async (query: string) => {
    const answer = await one.fetch("GET", `${BASE}/certificate_statuses/any%20key${query}`, {
      as: admin,
    });
    assert.equal(answer.status, 200);
    return (await answer.json()) as { name: string; state: string }[];
  };
  const all = await list("");
  assert.ok(all.length > 2 && all.some(({ state }) => state === "signed"));
  const requested = await list("?state=requested&environment=x");
  assert.deepEqual(
    requested.map(({ name }) => name),
    ["listed.test"],
  );
  assert.equal((await list("?state=nonsense")).length, all.length);
  const missing = await one.fetch("GET", `${BASE}/certificate_statuses/`, { as: admin });
  assert.equal(missing.status, 400);
  assert.equal(await missing.text(), "Missing URL Segment");
  const wrong = await one.fetch("PUT", `${BASE}/certificate_statuses/x`, { as: admin });
  assert.equal(wrong.status, 405);
  assert.equal(wrong.headers.get("allow"), "GET");
});

void test("clean takes only names, and leaves everything else alone", async () => {
  await agentOf("clean1.test");
  await agentOf("victim.test");
  const put = async (body: unknown) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const answer = await one.fetch("PUT", `${BASE}/clean`, { body: text, as: admin });
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await put("x"), [400, "Request body is not JSON."]);
  assert.deepEqual(await put({}), [
    400,
    "Missing required key: 'certnames'. Please supply the list of certs you want to clean.",
  ]);
  assert.deepEqual(await put({ certnames: [], async: true }), [
    400,
    "Async mode is not currently supported.",
  ]);
  assert.deepEqual(await put({ certnames: [1] }), [400, "'certnames' must be a list of strings."]);
  assert.deepEqual(await put({ certnames: [] }), [200, "Successfully cleaned all certs."]);
  assert.deepEqual(await put({ certnames: ["clean1.test", "clean1.test"] }), [
    200,
    "Successfully cleaned all certs.",
  ]);
  assert.deepEqual(await put({ certnames: ["../signed/victim.test", 'x"y'] }), [
    200,
    'The following certs do not exist and cannot be revoked: ["../signed/victim.test" "x\\"y"]',
  ]);
  assert.equal((await one.fetch("GET", `${BASE}/certificate/victim.test`)).status, 200);
  assert.equal((await one.fetch("GET", `${BASE}/certificate/clean1.test`)).status, 404);
});

void test("routes refuse hostile names and bodies, and go on", async () => {
  const cases: [method: string, path: string, code: number][] = [
    ["GET", "/certificate/ca%0a", 404],
    ["GET", "/certificate/..%2f..%2fca_key", 404],
    ["GET", "/certificate/%2e%2e%2fserial", 404],
    ["GET", "/certificate/%252e", 404],
    ["GET", "/certificate/a*", 404],
    ["GET", "/certificate/..", 403],
    ["GET", "/certificate/a/b", 403],
    ["GET", "/certificate/%ff", 403],
    ["GET", "/certificate/CA", 404],
    ["GET", `/certificate/${"x".repeat(300)}`, 404],
    ["GET", "/certificate_request/none.test", 404],
  ];
  for (const [method, path, code] of cases) {
    const answer = await one.fetch(method, BASE + path);
    assert.equal(answer.status, code, path);
    assert.doesNotMatch(await answer.text(), /BEGIN/);
  }
  const put = async (name: string, body: string) => {
    const path = `${BASE}/certificate_request/${name}`;
    const answer = await one.fetch("PUT", path, { body });
    return [answer.status, await answer.text()] as const;
  };
  assert.equal((await put("big.test", "x".repeat(10 * 1024 * 1024)))[0], 413);
  assert.equal((await put("big.test", ""))[0], 400);
  assert.deepEqual(await put("ca", await agentRequest("ca")), [
    400,
    '"ca" is the name of the certificate authority itself',
  ]);
  assert.deepEqual(await put("other.test", await agentRequest("mine.test")), [
    400,
    'Instance name "mine.test" does not match requested key "other.test"',
  ]);
  assert.deepEqual(await put("up.test", await agentRequest("up.test\n")), [
    400,
    'Instance name "up.test?" does not match requested key "up.test"',
  ]);
  const listed = one.ca.list("requested").map(({ name }) => name);
  assert.ok(!listed.some((name) => ["ca", "mine.test", "other.test", "big.test"].includes(name)));
});

void test("certificate_revocation_list answers 200 unless the agent's date lies days past publication", async () => {
  const thisUpdateMs = one.ca.currentCrl()?.thisUpdateMs ?? 0;
  const day = 86_400_000;
  const cases: [since: string | undefined, code: number][] = [
    [undefined, 200],
    ["garbage", 200],
    [new Date(thisUpdateMs - day).toUTCString(), 200],
    [new Date(thisUpdateMs + 2 * day).toUTCString(), 200],
    [new Date(thisUpdateMs + 4 * day).toUTCString(), 304],
  ];
  for (const [since, code] of cases) {
    const headers: Record<string, string> =
      since === undefined ? {} : { "If-Modified-Since": since };
    const answer = await one.fetch("GET", `${BASE}/certificate_revocation_list/ca`, { headers });
    assert.equal(answer.status, code, since);
  }
});

void test("status answers as Puppet's command line reads it", async () => {
  const get = (path: string) => one.fetch("GET", path);
  assert.equal(await (await get("/status/v1/simple/ca")).text(), "running");
  assert.equal(await (await get("/status/v1/simple")).text(), "running");
  const unknown = await get("/status/v1/simple/x");
  assert.equal(unknown.status, 404);
  assert.equal(await unknown.text(), "not found: x");
  const services = (await (await get("/status/v1/services")).json()) as {
    ca: { service_version: string; state: string };
  };
  assert.match(services.ca.service_version, /^\d+\.\d+\.\d+/);
  assert.equal(services.ca.state, "running");
  assert.equal((await get("/status/v1/services/nope")).status, 404);
  assert.equal((await get("/health/ca")).status, 200);
  assert.equal((await get("/health/ca/sign")).status, 200);
});
