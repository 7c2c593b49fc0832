import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { authorityKeyId, parseCertificate } from "../x509/certificate.ts";
import { derUtf8, derValue, TAG } from "../x509/der.ts";
import { puppetExtension, subjectAltName } from "../x509/extensions.ts";
import { OID } from "../x509/oids.ts";
import { createRequest } from "../x509/request.ts";
import type { Etcd } from "../etcd/types.ts";
import { run } from "../host/process.ts";
import { CA_SETTINGS_DEFAULT } from "./settings.ts";
import { ttlOf, readRequest } from "./policy.ts";
import { CERT_PREFIX, REVOKED_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import {
  agentKey,
  agentRequest,
  startFleet,
  type Fleet,
  type TestServer,
} from "./testing/fleet.ts";

const BASE = "/puppet-ca/v1";
const RENEWAL = `${BASE}/certificate_renewal`;
const DAY_S = 86_400;

let fleet: Fleet;
let one: TestServer;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  fleet.settings = {
    ...CA_SETTINGS_DEFAULT,
    autosign: true,
    allowSubjectAltNames: true,
    allowAuthorizationExtensions: true,
    allowAutoRenewal: true,
    autoRenewalTtlSeconds: 60 * DAY_S,
  };
});
after(() => fleet.close());

async function enrol(name: string) {
  const extensions = [
    subjectAltName([
      { type: "DNS", value: "web.test" },
      { type: "IP", value: "10.0.0.1" },
    ]),
    puppetExtension("pp_role", "web"),
    puppetExtension("pp_auth_role", "db"),
  ];
  await one.ca.submit({ pem: await agentRequest(name, extensions), key: name });
  const pem = await (await one.fetch("GET", `${BASE}/certificate/${name}`)).text();
  return { certname: name, pem };
}

const renew = (as?: { certname: string; pem: string }) =>
  one.fetch("POST", RENEWAL, as === undefined ? {} : { as });

void test("certificate_renewal gives the same name, key and extensions a later end", async () => {
  const agent = await enrol("a.test");
  const answer = await renew(agent);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type") ?? "", /^text\/plain/);
  const pem = await answer.text();
  const [old, fresh] = [parseCertificate(agent.pem), parseCertificate(pem)];
  assert.notEqual(fresh.serial, old.serial);
  assert.deepEqual(fresh.subjectDer, old.subjectDer);
  assert.deepEqual(fresh.spkiDer, old.spkiDer);
  assert.deepEqual(fresh.extensions, old.extensions);
  assert.notEqual(authorityKeyId(fresh), undefined);
  const lasts = (fresh.notAfter - Date.now()) / 1000;
  assert.ok(Math.abs(lasts - 60 * DAY_S) < 60, `${lasts} s`);
  const current = await one.fetch("GET", `${BASE}/certificate/a.test`);
  assert.equal(await current.text(), pem);
  const verify = ["openssl", "verify", "-purpose", "sslclient", "-CAfile"];
  const files = [`${fleet.folder}/original/ca_crt.pem`, `${one.cadir}/signed/a.test.pem`];
  assert.match(await run([...verify, ...files]), /OK/);
});

void test("after a renewal both certificates count, and a revocation by name ends both", async () => {
  const agent = await enrol("b.test");
  const fresh = { certname: "b.test", pem: await (await renew(agent)).text() };
  assert.equal((await renew(agent)).status, 200, "the former one renews once more");
  await one.ca.revoke({ names: ["b.test"] });
  const revoked = new Set(one.ca.revocations().map(({ serial }) => serial));
  for (const { pem } of [agent, fresh]) {
    assert.ok(revoked.has(serialOf(parseCertificate(pem).serial)));
    assert.equal((await renew({ certname: "b.test", pem })).status, 403);
  }
});

void test("a certificate that another server has just revoked is not renewed", async () => {
  const agent = await enrol("c.test");
  const deaf = { ...fleet.cluster.client(), watch: () => undefined };
  const two = await fleet.server("s2", { etcd: deaf });
  await one.ca.revoke({ names: ["c.test"] });
  const answer = await two.fetch("POST", RENEWAL, { as: agent });
  assert.equal(answer.status, 403);
  assert.equal(await answer.text(), "c.test's certificate is revoked");
});

void test("a renewal between a revocation's look at a name and its commit is revoked too", async () => {
  const agent = await enrol("between.test");
  const etcd = fleet.cluster.client();
  let between = 2;
  const late: Etcd = {
    ...etcd,
    watch: () => undefined,
    transact: async (txn, options) => {
      const revokes = txn.then.some((op) => "put" in op && op.put.startsWith(REVOKED_PREFIX));
      if (revokes && between > 0) {
        between -= 1;
        const status = await one.fetch("GET", `${BASE}/certificate/between.test`);
        const newest = { certname: "between.test", pem: await status.text() };
        assert.equal((await renew(newest)).status, 200);
      }
      return etcd.transact(txn, options);
    },
  };
  const three = await fleet.server("s3", { etcd: late });
  const outcome = await three.ca.clean(["between.test"]);
  assert.equal(outcome.results[0]?.ok, true);
  assert.equal(between, 0);
  assert.equal((await renew(agent)).status, 403);
  const { kvs } = await etcd.range(CERT_PREFIX);
  const serials = kvs.flatMap(({ key, value }) =>
    value.includes('"between.test"') ? [key.slice(CERT_PREFIX.length)] : [],
  );
  assert.equal(serials.length, 3);
  const revoked = await etcd.range(REVOKED_PREFIX, { keysOnly: true });
  const there = new Set(revoked.kvs.map(({ key }) => key.slice(REVOKED_PREFIX.length)));
  assert.deepEqual(
    serials.filter((serial) => !there.has(serial)),
    [],
  );
  const gone = await three.fetch("GET", `${BASE}/certificate/between.test`);
  assert.equal(gone.status, 404, "clean has removed the name");
});

void test("a server that hears of no changes revokes renewals that it never saw too", async () => {
  const agent = await enrol("unseen.test");
  const deaf = { ...fleet.cluster.client(), watch: () => undefined };
  const two = await fleet.server("s4", { etcd: deaf });
  const newer = { certname: "unseen.test", pem: await (await renew(agent)).text() };
  assert.equal((await renew(newer)).status, 200);
  const outcome = await two.ca.revoke({ names: ["unseen.test"] });
  assert.equal(outcome.results[0]?.ok, true);
  for (const each of [agent, newer]) {
    const answer = await renew(each);
    assert.equal(await answer.text(), "unseen.test's certificate is revoked");
  }
});

void test("show has the current certificate first, also where a former one has a higher serial", async () => {
  await enrol("lower.test");
  const other = await fleet.server("s5");
  await other.ca.submit({ pem: await agentRequest("low.test"), key: "low.test" });
  const old = await (await other.fetch("GET", `${BASE}/certificate/low.test`)).text();
  const fresh = await (await renew({ certname: "low.test", pem: old })).text();
  const serials = [fresh, old].map((pem) => serialOf(parseCertificate(pem).serial));
  assert.deepEqual(serials.toSorted(), serials);
  await other.ca.lookUp(["low.test"]);
  const { certificates } = other.ca.show("low.test");
  assert.deepEqual(
    certificates.map(({ serial }) => serial),
    serials,
  );
});

void test("certificate_renewal is refused to whoever has no certificate, and where it is off", async () => {
  const agent = await enrol("d.test");
  assert.equal((await renew()).status, 403);
  assert.equal((await one.fetch("GET", RENEWAL, { as: agent })).status, 403);
  fleet.settings.allowAutoRenewal = false;
  const off = await renew(agent);
  assert.equal(off.status, 404);
  assert.equal(await off.text(), "Not Found");
  fleet.settings.allowAutoRenewal = true;
});

void test("an agent that says that it renews gets the short life from the start", async () => {
  const key = await agentKey();
  const attribute = (value: Buffer) => [{ oid: OID.ppAuthAutoRenew, values: [value] }];
  const printable = derValue(TAG.printableString, Buffer.from("true"));
  const cases: [
    value: Buffer | undefined,
    allowed: boolean,
    asked: number | undefined,
    ttl: number,
  ][] = [
    [printable, true, undefined, 60 * DAY_S],
    [derUtf8("true"), true, undefined, 60 * DAY_S],
    [printable, true, 3600, 60 * DAY_S],
    [printable, false, 3600, 3600],
    [printable, false, undefined, CA_SETTINGS_DEFAULT.caTtlSeconds],
    [derUtf8("false"), true, undefined, CA_SETTINGS_DEFAULT.caTtlSeconds],
    [derValue(TAG.sequence, derUtf8("true")), true, 7, 7],
    [undefined, true, 3600, 3600],
  ];
  for (const [value, allowAutoRenewal, asked, ttl] of cases) {
    const attributes = value === undefined ? [] : attribute(value);
    const read = readRequest(createRequest({ commonName: "e.test", key, attributes }));
    assert.ok(read.ok);
    assert.equal(ttlOf(read.read, { ...fleet.settings, allowAutoRenewal }, asked), ttl);
  }
  const pem = createRequest({ commonName: "e.test", key, attributes: attribute(printable) });
  await one.ca.submit({ pem, key: "e.test" });
  const [status] = one.ca.list("signed").filter(({ name }) => name === "e.test");
  const lasts = Date.parse(`${status?.not_after?.slice(0, 19)}Z`) - Date.now();
  assert.ok(Math.abs(lasts / 1000 - 60 * DAY_S) < 60);
});
