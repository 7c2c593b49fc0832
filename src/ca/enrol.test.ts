import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { run } from "../host/process.ts";
import { adminOf, agentRequest, startFleet, type Fleet } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

void test("routes let an agent enrol on one server and collect its certificate on another", async () => {
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2")];
  one.run();
  two.run();
  const ca = await one.fetch("GET", "/puppet-ca/v1/certificate/ca");
  assert.equal(ca.status, 200);
  const bundle = await ca.text();
  assert.equal(bundle, await (await two.fetch("GET", "/puppet-ca/v1/certificate/ca")).text());

  const pem = await agentRequest("a1.lab.test");
  const put = await one.fetch("PUT", "/puppet-ca/v1/certificate_request/a1.lab.test", {
    body: pem,
  });
  assert.equal(put.status, 200);
  assert.equal(await put.text(), "");
  assert.equal((await two.fetch("GET", "/puppet-ca/v1/certificate/a1.lab.test")).status, 404);
  const waiting = await two.fetch("GET", "/puppet-ca/v1/certificate_request/a1.lab.test");
  assert.equal(await waiting.text(), pem);

  const outcome = await two.ca.sign(["a1.lab.test"]);
  assert.deepEqual(
    outcome.results.map(({ ok, because }) => ({ ok, because })),
    [{ ok: true, because: "" }],
  );
  const got = await one.fetch("GET", "/puppet-ca/v1/certificate/a1.lab.test");
  assert.equal(got.status, 200);
  const certificate = await got.text();
  assert.equal(certificate, await readFile(join(two.cadir, "signed/a1.lab.test.pem"), "utf8"));
  const shown = await run(["openssl", "x509", "-noout", "-text"], { input: certificate });
  assert.match(shown, /Subject: CN = a1\.lab\.test/);
  assert.match(shown, /DNS:a1\.lab\.test/);

  const admin = await adminOf(one);
  const listed = await one.fetch("GET", "/puppet-ca/v1/certificate_statuses/any", { as: admin });
  assert.equal(listed.status, 200);
});
