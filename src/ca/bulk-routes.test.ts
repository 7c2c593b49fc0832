import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fault } from "../base/fault.ts";
import type { Etcd } from "../etcd/types.ts";
import { puppetExtension } from "../x509/extensions.ts";
import { CERT_PREFIX } from "./record.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const SIGN = "/puppet-ca/v1/sign";

let fleet: Fleet;
let one: TestServer;
let admin: { certname: string; pem: string };
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  admin = await adminOf(one);
});
after(() => fleet.close());

async function submit(name: string, extensions: Parameters<typeof agentRequest>[1] = []) {
  await one.ca.submit({ pem: await agentRequest(name, extensions), key: name });
}

async function post(path: string, body: unknown, as = admin) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await one.fetch("POST", path, { body: text, as });
  return [answer.status, await answer.json()] as const;
}

void test("sign tells what it signed, what had no request, and what may not be signed", async () => {
  await submit("a.test");
  await submit("odd.test", [puppetExtension("pp_auth_role", "x")]);
  const certnames = ["a.test", "odd.test", "none.test", "../x", "a.test"];
  assert.deepEqual(await post(SIGN, { certnames }), [
    200,
    { signed: ["a.test"], "no-csr": ["none.test", "../x"], "signing-errors": ["odd.test"] },
  ]);
  const nothing = { signed: [], "no-csr": [], "signing-errors": [] };
  for (const body of ["", "x", "{}", '{"certnames":[]}']) {
    assert.deepEqual(await post(SIGN, body), [200, nothing], body);
  }
  for (const certnames of [[1], "a.test", { a: 1 }]) {
    const [status, said] = await post(SIGN, { certnames });
    assert.equal(status, 422);
    assert.deepEqual(said, {
      kind: "schema-violation",
      submitted: certnames,
      error: "certnames must be a list of strings",
    });
  }
});

void test("sign/all signs what waits, whatever its body says", async () => {
  await submit("b.test");
  await submit("c.test");
  const [status, said] = await post(`${SIGN}/all`, "{}");
  assert.equal(status, 200);
  assert.deepEqual(said, {
    signed: ["b.test", "c.test"],
    "no-csr": [],
    "signing-errors": ["odd.test"],
  });
});

void test("sign is for administrators", async () => {
  fleet.settings.autosign = true;
  await submit("d.test");
  const pem = await (await one.fetch("GET", "/puppet-ca/v1/certificate/d.test")).text();
  for (const path of [SIGN, `${SIGN}/all`]) {
    const agent = { certname: "d.test", pem };
    assert.equal((await one.fetch("POST", path, { body: "{}", as: agent })).status, 403);
    assert.equal((await one.fetch("POST", path, { body: "{}" })).status, 403);
    const wrong = await one.fetch("GET", path, { as: admin });
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "POST"]);
  }
  assert.equal((await one.fetch("POST", `${SIGN}/some`, { as: admin })).status, 403);
});

void test("sign/all ends with the first change that can't be made, and doesn't wait for each", async () => {
  const etcd = fleet.cluster.client();
  let tried = 0;
  const cut: Etcd = {
    ...etcd,
    transact: async (txn, options) => {
      const signs = txn.then.some((op) => "put" in op && op.put.startsWith(CERT_PREFIX));
      if (!signs) return etcd.transact(txn, options);
      tried += 1;
      throw new Fault("etcd.no-quorum", "1 of 3 members answers");
    },
  };
  fleet.settings.autosign = false;
  for (let index = 0; index < 40; index += 1) await submit(`many${index}.test`);
  const two = await fleet.server("s2", { etcd: cut });
  const answer = await two.fetch("POST", `${SIGN}/all`, { body: "{}", as: admin });
  assert.equal(answer.status, 503);
  assert.ok(tried <= 8, `${tried} were tried`);
});

void test("whoever may not change anything hears why: a full etcd is not one without quorum", async () => {
  const etcd = fleet.cluster.client();
  const full: Etcd = {
    ...etcd,
    transact: async (txn, options) => {
      if (txn.then.every((op) => "get" in op)) return etcd.transact(txn, options);
      throw new Fault("etcd.no-space", "etcd's database is full", { hints: ["Free the disk."] });
    },
  };
  const three = await fleet.server("s3", { etcd: full });
  const path = "/puppet-ca/v1/certificate_request/full.test";
  const answer = await three.fetch("PUT", path, { body: await agentRequest("full.test") });
  assert.equal(answer.status, 503);
  const said = "The certificate authority can't change anything now: etcd's database is full";
  assert.equal(await answer.text(), `${said}\nFree the disk.`);
});
