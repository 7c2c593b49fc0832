import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { importAuthority } from "./import.ts";
import { AUTHORITY_KEY, CA_PREFIX } from "./record.ts";
import { adminOf, agentRequest, startFleet, type Fleet } from "./testing/fleet.ts";
import { makeStock, stockRevokes, stockSigns } from "./testing/stock.ts";

let fleet: Fleet;
let stock: string;
before(async () => {
  fleet = await startFleet();
  stock = await mkdtemp(join(tmpdir(), "understudy-stock-"));
  await makeStock(stock);
});
after(async () => {
  await fleet.close();
  await rm(stock, { recursive: true, force: true });
});
beforeEach(() => fleet.reset());

async function copyOfStock(): Promise<string> {
  const cadir = join(fleet.folder, `stock-${Math.random().toString(36).slice(2)}`);
  await cp(stock, cadir, { recursive: true });
  return cadir;
}

/** A copy whose next serial is the one that openssl gives next. */
async function runningStock(): Promise<string> {
  const cadir = await copyOfStock();
  const inventory = join(cadir, "inventory.txt");
  const lines = (await readFile(inventory, "utf8")).split("\n");
  await writeFile(inventory, lines.filter((line) => !line.startsWith("0x0030")).join("\n"));
  return cadir;
}

void test("importAuthority again takes in what stock signed, revoked and cleaned since", async () => {
  const cadir = await runningStock();
  const etcd = fleet.cluster.client();
  const requestFile = (name: string) => join(cadir, `requests/${name}.pem`);
  await stockSigns(cadir, "leaves.lab.test", await agentRequest("leaves.lab.test"));
  const first = await importAuthority({ etcd, cadir });
  assert.equal(first.next, 0x0d);
  // The power goes; stock starts at boot and goes on with its own CA.
  await stockSigns(cadir, "waits.lab.test", await readFile(requestFile("waits.lab.test"), "utf8"));
  await rm(requestFile("waits.lab.test"));
  await writeFile(requestFile("asks.lab.test"), await agentRequest("asks.lab.test"));
  await stockRevokes(cadir, "web.lab.test");
  await stockRevokes(cadir, "leaves.lab.test");
  await rm(join(cadir, "signed/leaves.lab.test.pem"));

  const again = await importAuthority({ etcd, cadir });
  assert.deepEqual(
    { ...again, oddities: [] },
    { signed: 1, requests: 1, revoked: 3, next: 0x0e, oddities: [] },
  );
  const one = await fleet.server("s1", { cadir, etcd });
  await one.ca.repair();
  assert.equal(one.ca.state().because, "");
  // Above stock's 9 and the 8 that the first import signed.
  assert.equal(one.ca.currentCrl()?.number, 10);
  assert.deepEqual(
    one.ca.list().map(({ name, state, serial_number: serial }) => [name, state, serial]),
    [
      ["asks.lab.test", "requested", undefined],
      ["gone.lab.test", "revoked", 0x0b],
      ["waits.lab.test", "signed", 0x0d],
      ["web.lab.test", "revoked", 0x0a],
    ],
  );
  const signed = await one.ca.sign(["asks.lab.test"]);
  assert.ok(Number.parseInt(signed.results[0]?.serial ?? "0", 16) >= 0x0e);
  // What the cluster does from now on is its own: a directory that lags behind takes nothing back.
  await cp(join(cadir, "signed"), join(cadir, "signed-before"), { recursive: true });
  await one.ca.clean(["waits.lab.test", "asks.lab.test"]);
  await cp(join(cadir, "signed-before"), join(cadir, "signed"), { recursive: true });
  const { revision } = await etcd.range(CA_PREFIX);
  await importAuthority({ etcd, cadir });
  assert.equal((await etcd.range(CA_PREFIX)).revision, revision);
});

void test("importAuthority again, after one cut off before its end, drops what stock cleaned and signed", async () => {
  const cadir = await runningStock();
  const etcd = fleet.cluster.client();
  const requestFile = (name: string) => join(cadir, `requests/${name}.pem`);
  await stockSigns(cadir, "leaves.lab.test", await agentRequest("leaves.lab.test"));
  const cutOff = {
    ...etcd,
    transact: (...args: Parameters<typeof etcd.transact>) => {
      const [{ then }] = args;
      const isLast = then.some((op) => "put" in op && op.put === AUTHORITY_KEY);
      return isLast ? Promise.reject(new Error("power cut")) : etcd.transact(...args);
    },
  };
  await assert.rejects(importAuthority({ etcd: cutOff, cadir }), /power cut/);
  // Stock still serves: it signs one that waited, and cleans two, one of which asks anew.
  await stockSigns(cadir, "waits.lab.test", await readFile(requestFile("waits.lab.test"), "utf8"));
  await rm(requestFile("waits.lab.test"));
  for (const name of ["web.lab.test", "leaves.lab.test"]) {
    await stockRevokes(cadir, name);
    await rm(join(cadir, `signed/${name}.pem`));
  }
  await writeFile(requestFile("web.lab.test"), await agentRequest("web.lab.test"));

  const again = await importAuthority({ etcd, cadir });
  assert.deepEqual(
    { ...again, oddities: [] },
    { signed: 1, requests: 1, revoked: 3, next: 0x0e, oddities: [] },
  );
  const one = await fleet.server("s1", { cadir, etcd });
  assert.deepEqual(
    one.ca.list().map(({ name, state }) => [name, state]),
    [
      ["web.lab.test", "requested"],
      ["gone.lab.test", "revoked"],
      ["waits.lab.test", "signed"],
    ],
  );
  const signed = await one.ca.sign(["web.lab.test"]);
  assert.deepEqual(
    signed.results.map(({ ok }) => ok),
    [true],
  );
});

void test("importAuthority refuses loudly when stock and a member gave one serial twice", async () => {
  const cadir = await runningStock();
  const etcd = fleet.cluster.client();
  await importAuthority({ etcd, cadir });
  const other = await copyOfStock();
  const one = await fleet.server("s1", { cadir: other, etcd });
  const { certname } = await adminOf(one);
  await stockSigns(cadir, "late.lab.test", await agentRequest("late.lab.test"));
  const { revision } = await etcd.range(CA_PREFIX);
  await assert.rejects(importAuthority({ etcd, cadir }), (error) => {
    assert.ok(isFault(error, "ca.serial-twice"));
    assert.ok(error.message.includes(certname) && error.message.includes("late.lab.test"));
    return true;
  });
  assert.equal((await etcd.range(CA_PREFIX)).revision, revision, "nothing was changed");
});
