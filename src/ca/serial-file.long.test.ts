import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { Etcd } from "../etcd/types.ts";
import { importAuthority } from "./import.ts";
import { BLOCK_PREFIX } from "./record.ts";
import { raiseSerialFile } from "./serial-file.ts";
import { adminOf, agentRequest, startFleet, type Fleet } from "./testing/fleet.ts";
import { makeStock, stockSigns } from "./testing/stock.ts";

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

const unreachable = () => Promise.reject(new Error("etcd is away"));
const serialIn = async (cadir: string) =>
  Number.parseInt(await readFile(join(cadir, "serial"), "utf8"), 16);

/**
 * A CA directory as a failed init leaves it: taken in, kept by a daemon for a while, which has
 * signed this server's certificate; `given` is its serial.
 */
async function begun(etcd: Etcd): Promise<{ cadir: string; given: number }> {
  const cadir = join(fleet.folder, `stock-${Math.random().toString(36).slice(2)}`);
  await cp(stock, cadir, { recursive: true });
  await importAuthority({ etcd, cadir });
  const daemon = await fleet.server("s1", { cadir, etcd });
  await daemon.ca.repair();
  const { certname } = await adminOf(daemon);
  const given = daemon.ca.list("signed").find(({ name }) => name === certname)?.serial_number ?? 0;
  await daemon.stop();
  return { cadir, given };
}

void test("raiseSerialFile takes stock past every serial that the cluster has set aside, and init goes on", async () => {
  const etcd = fleet.cluster.client();
  const { cadir, given } = await begun(etcd);
  // Stock's 65th signature would be this server's own serial.
  assert.equal(given - (await serialIn(cadir)), 64);
  await raiseSerialFile({ cadir, connect: async () => etcd });
  const next = await serialIn(cadir);
  const { kvs } = await etcd.range(BLOCK_PREFIX);
  const ends = kvs.map(({ value }) => (JSON.parse(value) as { to: number }).to);
  assert.equal(ends.length, 2);
  assert.equal(next, Math.max(...ends) + 1);
  assert.match(await readFile(join(cadir, "serial"), "utf8"), /^[0-9A-F]{4,}$/);
  assert.equal((await stat(join(cadir, "serial"))).mode & 0o777, 0o644);

  await cp(join(cadir, "serial"), join(cadir, "openssl-serial"));
  await stockSigns(cadir, "late.lab.test", await agentRequest("late.lab.test"));
  const again = await importAuthority({ etcd, cadir });
  assert.equal(again.next, next + 1);
  const daemon = await fleet.server("s1", { cadir, etcd });
  await daemon.ca.repair();
  const late = daemon.ca.list("signed").find(({ name }) => name === "late.lab.test");
  assert.equal(late?.serial_number, next);
  assert.ok((await serialIn(cadir)) > next, "stock tools have a block above it");
});

void test("raiseSerialFile goes by what the directory knows while the record can't be reached", async () => {
  const { cadir, given } = await begun(fleet.cluster.client());
  await raiseSerialFile({ cadir, connect: unreachable });
  assert.ok((await serialIn(cadir)) > given);
});

void test("raiseSerialFile covers what was signed last, should the directory not know of it", async () => {
  const { cadir, given } = await begun(fleet.cluster.client());
  const inventory = join(cadir, "inventory.txt");
  const lines = (await readFile(inventory, "utf8")).split("\n");
  await writeFile(inventory, lines.filter((line) => !line.includes("s1.lab.test")).join("\n"));
  await rm(join(cadir, "signed/s1.lab.test.pem"));
  await raiseSerialFile({ cadir, connect: unreachable });
  assert.ok((await serialIn(cadir)) > given);
});

void test("raiseSerialFile leaves a file that is past all that was given, and where nothing was", async () => {
  const etcd = fleet.cluster.client();
  const cadir = join(fleet.folder, "untouched");
  await cp(stock, cadir, { recursive: true });
  await raiseSerialFile({ cadir, connect: async () => etcd });
  assert.equal(await readFile(join(cadir, "serial"), "utf8"), "000C");
  await importAuthority({ etcd, cadir });
  await writeFile(join(cadir, "serial"), "7ABC");
  await raiseSerialFile({ cadir, connect: async () => etcd });
  assert.equal(await readFile(join(cadir, "serial"), "utf8"), "7ABC");
});
