// The end of the cluster's CA on real etcd: nobody signs after it, and the directory of the server
// that it ended for has all that was ever issued. openssl judges the lists.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { EJECTED_KEY } from "../cluster/keys.ts";
import { until } from "../base/retry.ts";
import { run, tryRun } from "../host/process.ts";
import { CA_PREFIX } from "./record.ts";
import { ALONE_JUMP } from "./eject.ts";
import { readHandedOver } from "./handed-over.ts";
import { parseInventory } from "./inventory.ts";
import { parseSerialFile } from "./serial.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const CLUSTER = "7c0ac5f8-8f3f-4b7e-9f0e-2d6a5d3f0b11";

let fleet: Fleet;
let one: TestServer;
let two: TestServer;
let folder: string;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(async () => {
  await fleet.reset();
  folder = await mkdtemp(join(fleet.folder, "eject-"));
  [one, two] = [await fleet.server("s1.test"), await fleet.server("s2.test")];
  for (const { ca } of [one, two]) await ca.repair();
  await enrol(one, "first.test");
  await enrol(two, "second.test");
  await enrol(two, "revoked.test");
  await enrol(one, "waits.test", false);
  await two.ca.revoke({ names: ["revoked.test"] });
});

const wish = (alone = false) => ({
  clusterId: CLUSTER,
  alone,
  markPath: join(folder, "mark.json"),
});

async function enrol({ ca }: TestServer, name: string, autosign = true): Promise<void> {
  fleet.settings.autosign = autosign;
  const { outcome } = await ca.submit({ pem: await agentRequest(name), key: name });
  assert.equal(outcome, autosign ? "signed" : "waiting");
}

async function serialsIn(cadir: string): Promise<number[]> {
  const { lines } = parseInventory(await readFile(join(cadir, "inventory.txt"), "utf8"));
  return lines.map(({ serial }) => Number.parseInt(serial, 16)).toSorted((a, b) => a - b);
}

async function crlNumberIn(cadir: string): Promise<number> {
  const args = ["-in", join(cadir, "ca_crl.pem"), "-noout", "-crlnumber"];
  return Number(/0x[0-9A-F]+/i.exec(await run(["openssl", "crl", ...args]))?.[0] ?? 0);
}

/** As stock's CA revokes: a list signed with the CA's key, one number on. */
async function stockRevokes(cadir: string, serial: number): Promise<Buffer> {
  const conf = join(folder, "openssl.cnf");
  const index = join(folder, "index.txt");
  const number = (await crlNumberIn(cadir)) + 1;
  const hex = serial.toString(16).toUpperCase().padStart(4, "0");
  await writeFile(index, `R\t401231235959Z\t261129000000Z\t${hex}\tunknown\t/CN=x\n`);
  await writeFile(join(folder, "crlnumber"), number.toString(16).padStart(4, "0"));
  await writeFile(
    conf,
    `[ca]\ndefault_ca = c\n[c]\ndatabase = ${index}\ncrlnumber = ${folder}/crlnumber\ndefault_md = sha256\ncrl_extensions = e\ndefault_crl_days = 30\n[e]\nauthorityKeyIdentifier = keyid\n`,
  );
  const out = join(folder, "stock.pem");
  const keys = ["-keyfile", join(cadir, "ca_key.pem"), "-cert", join(cadir, "ca_crt.pem")];
  await run(["openssl", "ca", "-gencrl", "-config", conf, ...keys, "-out", out]);
  return readFile(out);
}

test("end stops every server from signing and revoking, also one that hasn't heard of it", async () => {
  const { ejected } = await one.ca.end();
  assert.equal(ejected.to, "s1.test");
  const refused = { code: "ca.ejected" };
  for (const { ca } of [one, two]) {
    await assert.rejects(ca.sign(["waits.test"]), refused);
    await assert.rejects(ca.revoke({ names: ["first.test"] }), refused);
    await assert.rejects(ca.clean(["first.test"]), refused);
    await assert.rejects(ca.refreshCrl(0), refused);
    await assert.rejects(ca.generate(await agentRequest("more.test")), refused);
    await assert.rejects(ca.forget("waits.test", "all"), refused);
    await assert.rejects(ca.requireSigner(), refused);
  }
  const { kvs } = await one.etcd.range(CA_PREFIX);
  const again = await two.ca.end();
  assert.deepEqual([again.ejected.to, again.revision], ["s1.test", 0]);
  assert.deepEqual((await one.etcd.range(CA_PREFIX)).kvs, kvs);
});

test("handOver leaves a stock directory with all that was issued, and a serial above every block", async () => {
  await one.ca.end();
  await assert.rejects(two.ca.handOver(wish()), { code: "ca.ejected" });
  const mark = await one.ca.handOver(wish());
  assert.equal(mark.to, "s1.test");
  assert.deepEqual(await readHandedOver(CLUSTER, wish().markPath), mark);
  const given = (await one.etcd.range(`${CA_PREFIX}cert/`)).kvs.map(({ key }) =>
    Number.parseInt(key.slice(`${CA_PREFIX}cert/`.length), 16),
  );
  assert.deepEqual(
    await serialsIn(one.cadir),
    given.toSorted((a, b) => a - b),
  );
  const blocks = (await one.etcd.range(`${CA_PREFIX}block/`)).kvs.map(
    ({ value }) => (JSON.parse(value) as { to: number }).to,
  );
  const next = parseSerialFile(await readFile(join(one.cadir, "serial"), "utf8"));
  assert.equal(next, Math.max(...blocks) + 1);
  assert.equal(next, mark.serialNext);
  assert.equal(await crlNumberIn(one.cadir), mark.crlNumber);
  assert.deepEqual((await readdir(join(one.cadir, "signed"))).toSorted(), [
    "first.test.pem",
    "revoked.test.pem",
    "second.test.pem",
  ]);
  assert.deepEqual(await readdir(join(one.cadir, "requests")), ["waits.test.pem"]);
  assert.deepEqual(await one.ca.handOver(wish()), mark, "twice is once");
});

test("a daemon that starts on a directory that was handed over changes nothing in it", async () => {
  await one.ca.end();
  const handedOver = await one.ca.handOver(wish());
  await one.stop();
  const { cadir } = one;
  await rm(join(cadir, "signed", "first.test.pem"));
  await writeFile(join(cadir, "serial"), "0FFF");
  const stock = await stockRevokes(cadir, (await serialsIn(cadir))[0] ?? 0);
  await writeFile(join(cadir, "ca_crl.pem"), stock);
  const again = await fleet.server("s1.test", { cadir, handedOver });
  again.run();
  await again.ca.repair();
  await again.ca.followStock(stock);
  assert.equal(again.ca.state().crlNumber, handedOver.crlNumber + 1);
  assert.equal(again.ca.state().because, "");
  assert.equal(await readFile(join(cadir, "serial"), "utf8"), "0FFF");
  assert.deepEqual(await readFile(join(cadir, "ca_crl.pem")), stock);
  assert.ok(!(await readdir(join(cadir, "signed"))).includes("first.test.pem"));
});

test("followStock refuses another key's list and an older one, and adds what stock revoked", async () => {
  await one.ca.end();
  const { crlNumber } = await one.ca.handOver(wish());
  await two.ca.end();
  const old = await readFile(join(two.cadir, "ca_crl.pem"));
  const [first = 0] = await serialsIn(one.cadir);
  const stock = await stockRevokes(one.cadir, first);
  await two.ca.followStock(stock);
  assert.deepEqual(await readFile(join(two.cadir, "ca_crl.pem")), stock);
  assert.equal(two.ca.currentCrl()?.number, crlNumber + 1);
  const serials = two.ca.revocations().map(({ serial }) => Number.parseInt(serial, 16));
  assert.ok(serials.includes(first) && serials.length === 2, serials.join());
  await assert.rejects(two.ca.followStock(old), { code: "ca.crl-older" });
  await run(
    `openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other -keyout ${folder}/ca_key.pem -out ${folder}/ca_crt.pem`.split(
      " ",
    ),
  );
  await writeFile(join(folder, "ca_crl.pem"), stock);
  const foreign = await stockRevokes(folder, first);
  await assert.rejects(two.ca.followStock(foreign), { code: "ca.crl-refused" });
});

test("handOver alone needs no etcd: serials and CRL number jump, and all known is in the directory", async () => {
  one.run();
  const { crlNumber } = two.ca.state();
  await until("one has heard of it", () => one.ca.state().crlNumber === crlNumber, {
    withinMs: 10_000,
  });
  await one.stop();
  one = await fleet.server("s1.test", { cadir: one.cadir });
  const known = await serialsIn(one.cadir);
  const before = await crlNumberIn(one.cadir);
  one.etcd.close();
  const mark = await one.ca.handOver(wish(true));
  assert.deepEqual([mark.alone, mark.to], [true, "s1.test"]);
  assert.deepEqual(await serialsIn(one.cadir), known);
  assert.ok(mark.serialNext > Math.max(...known) + ALONE_JUMP);
  assert.equal(parseSerialFile(await readFile(join(one.cadir, "serial"), "utf8")), mark.serialNext);
  assert.equal(await crlNumberIn(one.cadir), before + ALONE_JUMP);
  await assert.rejects(one.ca.sign(["waits.test"]), { code: "ca.ejected" });
  const openssl = ["verify", "-crl_check", "-CRLfile", "ca_crl.pem", "-CAfile", "ca_crt.pem"];
  const verified = await tryRun(["openssl", ...openssl, "signed/revoked.test.pem"], {
    cwd: one.cadir,
  });
  assert.match(verified.stderr, /certificate revoked/);
});

test("handOver alone takes the CA from a server that is lost, with its last CRL, and counts more", async () => {
  await one.ca.end();
  const lost = await one.ca.handOver(wish());
  two.run();
  await until("two has heard of it", () => two.ca.ejected(), { withinMs: 10_000 });
  const [first = 0] = await serialsIn(one.cadir);
  await two.ca.followStock(await stockRevokes(one.cadir, first));
  await one.stop();
  await assert.rejects(two.ca.handOver(wish()), { code: "ca.ejected" });
  const mark = await two.ca.handOver(wish(true));
  assert.deepEqual([mark.to, mark.alone], ["s2.test", true]);
  assert.ok(mark.serialNext >= lost.serialNext + ALONE_JUMP);
  assert.equal(mark.crlNumber, lost.crlNumber + 1 + ALONE_JUMP);
  assert.equal(two.ca.ejected()?.to, "s2.test");
  // What that one counts from is in the record by then, for whoever takes it over from it.
  const { serialNext, crlNumber, to, at, alone } = mark;
  const value = JSON.stringify({ to, at, alone, serialNext, crlNumber });
  await two.etcd.transact({ when: [], then: [{ put: EJECTED_KEY, value }] });
  const three = await fleet.server("s3.test");
  await rm(wish().markPath);
  const third = await three.ca.handOver(wish(true));
  assert.ok(third.serialNext >= serialNext + ALONE_JUMP);
  assert.ok(third.crlNumber >= crlNumber + ALONE_JUMP);
  const text = await run([
    "openssl",
    "crl",
    "-in",
    join(two.cadir, "ca_crl.pem"),
    "-noout",
    "-text",
  ]);
  assert.equal(text.match(/Serial Number: /g)?.length, 2, text);
});

test("end is refused while the directory can't be brought in step, and nobody stops signing", async () => {
  await rm(join(one.cadir, "signed"), { recursive: true });
  await writeFile(join(one.cadir, "signed"), "no folder");
  await assert.rejects(one.ca.end(), { code: "eject.directory" });
  assert.equal(await one.etcd.get(EJECTED_KEY), undefined);
  assert.equal((await two.ca.sign(["waits.test"])).results[0]?.ok, true);
});
