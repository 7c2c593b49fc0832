// The synthetic agent against a real server on loopback.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { askCatalog, connectOnce, judgeCatalog, keptConnection, steadyClock } from "./probe.ts";
import { catalogOf, TestServer } from "./testing/server.ts";

const server = new TestServer();
const { access } = server;
const now = steadyClock();
before(async () => server.start());
after(async () => server.kill());
beforeEach(() => {
  server.answer = catalogOf;
  server.asked.length = 0;
});

test("askCatalog sends what an agent sends, and tells how long the catalog took", async () => {
  const sample = await askCatalog(access, now);
  assert.deepEqual([sample.ok, sample.because, sample.status], [true, "", 200]);
  assert.ok(sample.endMs >= sample.startMs);
  const [asked] = server.asked;
  assert.match(
    asked?.url ?? "",
    /^\/puppet\/v3\/catalog\/understudy-probe\.s1\.test\?environment=/,
  );
  const form = new URLSearchParams(asked?.body);
  assert.equal(form.get("facts_format"), "application/json");
  // Agents encode the facts, and the form encodes that again.
  const facts = JSON.parse(decodeURIComponent(form.get("facts") ?? "")) as {
    name: string;
    values: Record<string, unknown>;
  };
  assert.equal(facts.name, access.certname);
  assert.deepEqual(facts.values, { kernel: "Linux", clientcert: access.certname });
});

test("askCatalog makes a new connection each time, unless one is kept", async () => {
  for (let times = 0; times < 3; times += 1) await askCatalog(access, now);
  assert.equal(new Set(server.asked.map(({ port }) => port)).size, 3);
  server.asked.length = 0;
  const agent = keptConnection();
  for (let times = 0; times < 3; times += 1) await askCatalog(access, now, { agent });
  agent.destroy();
  assert.equal(new Set(server.asked.map(({ port }) => port)).size, 1);
});

test("askCatalog tells whether the connection ends with the answer", async () => {
  const agent = keptConnection();
  assert.equal((await askCatalog(access, now, { agent })).isLast, undefined);
  server.answer = (certname) => ({ ...catalogOf(certname), isLast: true });
  assert.equal((await askCatalog(access, now, { agent })).isLast, true);
  agent.destroy();
});

test("askCatalog says why there is no catalog", async () => {
  server.answer = () => ({ status: 500, text: JSON.stringify({ message: "Evaluation Error\nx" }) });
  const failed = await askCatalog(access, now);
  assert.deepEqual(
    [failed.ok, failed.because, failed.status],
    [false, "500: Evaluation Error", 500],
  );
  server.answer = () => undefined;
  const silent = await askCatalog(access, now, { withinMs: 200 });
  assert.deepEqual([silent.ok, silent.because, silent.status], [false, "no answer in time", 0]);
  const nobody = await askCatalog({ ...access, port: 1 }, now);
  assert.equal(nobody.because, "ECONNREFUSED");
  const wrong = await askCatalog({ ...access, serverName: "puppet.example.com" }, now);
  assert.equal(wrong.because, "ERR_TLS_CERT_ALTNAME_INVALID");
});

const JUDGED: [string, number, string, string][] = [
  ["a catalog", 200, '{"name":"a","resources":[]}', ""],
  ["another's", 200, '{"name":"b","resources":[]}', "the catalog is another node's"],
  ["one without resources", 200, '{"name":"a"}', "the catalog has no resources"],
  ["half an answer", 200, '{"name":"a","reso', "the answer is no JSON"],
  ["a refusal", 403, "Forbidden: revoked\n", "403: Forbidden: revoked"],
  ["nothing", 503, "", "503: "],
];
for (const [what, status, text, because] of JUDGED) {
  test(`judgeCatalog of ${what}`, () => assert.equal(judgeCatalog("a", { status, text }), because));
}

test("connectOnce tells whether there is somebody, also of a name", async () => {
  assert.equal((await connectOnce(access, now, 5000)).ok, true);
  assert.equal((await connectOnce({ ...access, host: "localhost" }, now, 5000)).ok, true);
  const refused = await connectOnce({ host: "127.0.0.1", port: 1 }, now, 5000);
  assert.deepEqual([refused.ok, refused.because], [false, "ECONNREFUSED"]);
});
