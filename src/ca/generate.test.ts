import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseCertificate, subjectAltNames } from "../x509/certificate.ts";
import { basicConstraints, puppetExtension, subjectAltName } from "../x509/extensions.ts";
import { generateRsaKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
let one: TestServer;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
});
after(() => fleet.close());

const names = subjectAltName([
  { type: "DNS", value: "db.test" },
  { type: "IP", value: "10.0.0.9" },
]);

void test("generate signs at once what no agent gets, and gives the same key the same answer", async () => {
  const request = await agentRequest("gen.test", [names, puppetExtension("pp_auth_role", "db")]);
  // Somebody else's request for the name makes way.
  await one.ca.submit({ pem: await agentRequest("gen.test"), key: "gen.test" });
  const { certname, pem, copies } = await one.ca.generate(request);
  assert.equal(certname, "gen.test");
  assert.equal(copies, 1);
  assert.deepEqual(
    subjectAltNames(parseCertificate(pem)).map(({ value }) => value),
    ["10.0.0.9", "db.test", "gen.test"],
  );
  const { entries } = one.ca.find({ pattern: "gen.test" });
  assert.deepEqual(
    entries.map(({ state }) => state),
    ["signed"],
  );
  assert.equal((await one.ca.generate(request)).pem, pem);
});

void test("generate refuses another key's name, the servers' names, and what nobody may have", async () => {
  await one.ca.generate(await agentRequest("taken.test"));
  const other = createRequest({ commonName: "taken.test", key: await generateRsaKey(2048) });
  await assert.rejects(one.ca.generate(other), { code: "ca.name-taken" });
  const refused = [
    "rubbish",
    await agentRequest("s1.lab.test"),
    await agentRequest("x.test", [subjectAltName([{ type: "DNS", value: "puppet.lab.test" }])]),
    await agentRequest("x.test", [puppetExtension("pp_cli_auth", "true")]),
    await agentRequest("x.test", [basicConstraints({ ca: true })]),
    await agentRequest("../x"),
  ];
  for (const pem of refused) {
    await assert.rejects(one.ca.generate(pem), { code: "ca.request-refused" });
  }
});

void test("generate refuses the same key where its certificate is revoked, or not what is asked for", async () => {
  const request = await agentRequest("again.test", [names]);
  await one.ca.generate(request);
  const further = subjectAltName([{ type: "DNS", value: "further.test" }]);
  for (const extensions of [[], [further]]) {
    const other = await agentRequest("again.test", extensions);
    await assert.rejects(one.ca.generate(other), { code: "ca.name-taken" });
  }
  await one.ca.revoke({ names: ["again.test"] });
  await assert.rejects(one.ca.generate(request), { code: "ca.name-taken" });
});
