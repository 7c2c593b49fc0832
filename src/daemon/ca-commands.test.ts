import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { CaCommands } from "../api/local-app.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "../ca/testing/fleet.ts";
import { puppetExtension } from "../x509/extensions.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { crlPem, parseCrls } from "../x509/crl.ts";
import { caCommands } from "./ca-commands.ts";

const DAY_S = 86_400;

let fleet: Fleet;
let one: TestServer;
let commands: CaCommands;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  commands = caCommands(one.ca);
  fleet.settings = { ...fleet.settings, autosign: false, allowAuthorizationExtensions: true };
  for (const name of ["web1.test", "web2.test", "db1.test", "wait.test"]) {
    const pem = await agentRequest(name, [puppetExtension("pp_auth_role", "x")]);
    await one.ca.submit({ pem, key: name });
  }
  await commands.sign(["web2.test"], false);
  await one.ca.sign(["web1.test", "db1.test"], { ttlSeconds: 10 * DAY_S });
  await commands.revoke(["db1.test"], []);
});
after(() => fleet.close());

void test("list filters by state, pattern and end, and says how many there are beyond the limit", () => {
  const names = (query: Parameters<CaCommands["list"]>[0]) => {
    const { entries, total } = commands.list(query);
    return [entries.map(({ name }) => name), total] as const;
  };
  assert.deepEqual(names({}), [["wait.test", "db1.test", "web1.test", "web2.test"], 4]);
  assert.deepEqual(names({ state: "requested" }), [["wait.test"], 1]);
  assert.deepEqual(names({ state: "signed" }), [["web1.test", "web2.test"], 2]);
  assert.deepEqual(names({ state: "revoked" }), [["db1.test"], 1]);
  assert.deepEqual(names({ pattern: "web?.test" }), [["web1.test", "web2.test"], 2]);
  assert.deepEqual(names({ pattern: "*1.test", state: "signed" }), [["web1.test"], 1]);
  assert.deepEqual(names({ pattern: "web1" }), [[], 0]);
  assert.deepEqual(names({ pattern: "web1.tes." }), [[], 0]);
  assert.deepEqual(names({ pattern: `${"*".repeat(254)}x` }), [[], 0]);
  assert.deepEqual(names({ endsWithinS: 30 * DAY_S }), [["db1.test", "web1.test"], 2]);
  assert.deepEqual(names({ endsWithinS: DAY_S }), [[], 0]);
  assert.deepEqual(names({ limit: 2 }), [["wait.test", "db1.test"], 4]);
});

void test("show tells all of a name, also what it had before, and takes a serial too", async () => {
  const { certificates, request } = commands.show("db1.test");
  assert.equal(request, undefined);
  const [revoked] = certificates;
  assert.ok(revoked?.pem);
  assert.equal(revoked.state, "revoked");
  assert.equal(revoked.crlNumber, one.ca.currentCrl()?.number);
  assert.equal(revoked.key, "RSA 2048");
  assert.equal(revoked.signedBy, "s1");
  assert.deepEqual(revoked.altNames, ["DNS:db1.test"]);
  assert.deepEqual(revoked.authorizationExtensions, { pp_auth_role: "x" });
  assert.equal(revoked.issuer, one.ca.issuerText());
  const serial = parseCertificate(revoked.pem).serialHex;
  for (const text of [serial, serial.toLowerCase(), `0x${serial}`, revoked.serial]) {
    assert.deepEqual(commands.show(text).certificates, certificates, text);
  }

  await commands.clean(["db1.test"]);
  await one.ca.submit({ pem: await agentRequest("db1.test"), key: "db1.test" });
  assert.equal(commands.show("db1.test").request?.name, "db1.test");
  await commands.sign(["db1.test"], false);
  const states = commands.show("db1.test").certificates.map(({ state }) => state);
  assert.deepEqual(states, ["signed", "revoked"]);
  for (const unknown of ["none.test", "FFFFFFF", "../x", ""]) {
    assert.throws(() => commands.show(unknown), { code: "ca.unknown-name" });
  }
});

void test("clean drops a request that waits, alone or beside the name's certificate", async () => {
  const names = ["alone.test", "both.test"];
  const submit = async (name: string) =>
    one.ca.submit({ pem: await agentRequest(name), key: name });
  await submit("both.test");
  await commands.sign(["both.test"], false);
  fleet.settings.allowDuplicateCerts = true;
  for (const name of names) await submit(name);
  fleet.settings.allowDuplicateCerts = false;
  const { results } = await commands.clean([...names, "none.test"]);
  assert.deepEqual(
    results.map(({ name, ok, serial }) => [name, ok, serial !== undefined]),
    [
      ["alone.test", true, false],
      ["both.test", true, true],
      ["none.test", false, false],
    ],
  );
  const { entries } = commands.list({});
  assert.ok(entries.every(({ name }) => !names.includes(name)));
});

void test("revoke takes serials as people write them, and says which there aren't", async () => {
  const [current] = commands.show("web1.test").certificates;
  const short = `0x${(current?.serial ?? "").replace(/^0+/, "").toLowerCase()}`;
  const { results } = await commands.revoke([], [short, "0xFFFFFF", "rubbish"]);
  assert.deepEqual(
    results.map(({ ok }) => ok),
    [true, false, false],
  );
  assert.equal(commands.show("web1.test").certificates[0]?.state, "revoked");
});

void test("crls names ours and the root's; refresh signs a next number; import refuses rubbish", async () => {
  const before = commands.crls();
  assert.equal(before.crls.length, 2);
  const number = Number(before.crls[0]?.number);
  const after = await commands.refreshCrl();
  assert.equal(after.signed, true);
  assert.equal(Number(after.crls[0]?.number), number + 1);
  assert.equal(after.crls[0]?.entries, before.crls[0]?.entries);
  assert.deepEqual(after.crls[1], before.crls[1]);
  await assert.rejects(commands.importCrls("rubbish"), { code: "ca.crl-refused" });
});

void test("importCrls refuses what isn't a newer list of a CA above ours, and may be repeated", async () => {
  const crls = parseCrls(one.ca.currentCrl()?.pem ?? "");
  const [own, roots] = crls.map(({ der }) => crlPem(der));
  assert.ok(own !== undefined && roots !== undefined);
  await assert.rejects(commands.importCrls(own), { code: "ca.crl-refused" });
  assert.deepEqual(await commands.importCrls(roots), commands.crls());
  assert.deepEqual(await commands.importCrls(own + roots), commands.crls());
});
