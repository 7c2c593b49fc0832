// Hazard: an address is moved on purpose, and a connection breaks, or is left in silence. Real
// keepalived, HAProxy, nftables and TCP in network namespaces of this test alone, each behind a
// firewall that drops what connection tracking doesn't know, and everything forwarded. Needs root.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { orderHandOver } from "../../src/vip/switchover/tell.ts";
import { type ClientReport, VipClients } from "../vip-clients.ts";
import { ADDRESS, VipNetwork, type VipServer } from "../vip-network.ts";
import { Switchovers } from "../vip-switchover.ts";

const MOVES = 50;
const WITHIN_MS = 20_000;

const network = new VipNetwork("uswo", ["n1", "n2", "n3"]);
const switchovers = new Switchovers();
let former: string[] = [];

before(async () => {
  await network.setUp();
  for (const server of network.servers) await server.serve();
  await network.soleHolder("a holder");
  former = await states();
});
afterEach(async () => {
  await switchovers.settle();
  assert.deepEqual(await states(), former, "something of a switchover is left");
});
after(async () => {
  await switchovers.killAll();
  await network.tearDown();
});

async function states(): Promise<string[]> {
  return Promise.all(network.servers.map(async (server) => server.kernelState()));
}

function startClients(namespace: string, everyMs = 10): VipClients {
  return new VipClients(namespace, { address: ADDRESS, everyMs, kept: 4, listening: 4 });
}

const answered = (report: ClientReport, server: VipServer) => report.made[server.name] ?? 0;

async function holderAndAnother(): Promise<[VipServer, VipServer]> {
  const from = await network.soleHolder("a holder");
  const to = network.servers.find((each) => each !== from);
  assert.ok(to !== undefined);
  return [from, to];
}

test(`${MOVES} switchovers break no connection and refuse none`, async () => {
  let [from, to] = await holderAndAnother();
  const clients = startClients(network.clients);
  await clients.until("answers", (report) => answered(report, from) > 50 && report.heard > 20);
  for (let count = 1; count <= MOVES; count += 1) {
    await switchovers.move(`back-and-forth-${count}`, from, to);
    const before = answered(await clients.report(), to);
    const now = await clients.until("answers", (report) => answered(report, to) > before + 10);
    assert.deepEqual(now.failures, [], `after ${count}`);
    [from, to] = [to, from];
  }
  const { failures, open } = await clients.end();
  assert.deepEqual({ failures, open: open >= 8 }, { failures: [], open: true });
});

test("a switchover goes to the server that is meant, and on to a third one with all connections", async () => {
  const first = await network.soleHolder("a holder");
  const others = network.servers.filter((each) => each !== first).toReversed();
  const clients = startClients(network.clients);
  let from = first;
  for (const [index, to] of [...others, first].entries()) {
    await clients.until("answers", (report) => answered(report, from) > 20 * (index + 1));
    const more = new VipClients(network.clients, {
      address: ADDRESS,
      everyMs: 0,
      kept: 2,
      listening: 2,
    });
    await more.until("answers", (report) => report.heard > 10);
    await switchovers.move(`round-${index}`, from, to);
    assert.equal(await network.soleHolder("the one that was meant"), to);
    assert.deepEqual((await more.end()).failures, [], to.name);
    from = to;
  }
  assert.deepEqual((await clients.end()).failures, []);
});

test("connections of the servers themselves go on", async () => {
  const [from, to] = await holderAndAnother();
  const clients = network.servers.map((server) => startClients(server.namespace, 50));
  for (const each of clients) await each.until("answers", (report) => report.heard > 20);
  await switchovers.move("own-connections", from, to);
  for (const each of clients) {
    const { heard } = await each.report();
    await each.until("more", (report) => report.heard > heard + 40);
  }
  for (const [index, each] of clients.entries()) {
    assert.deepEqual((await each.end()).failures, [], network.servers[index]?.name);
  }
});

test("a window ends by itself once the connections have ended", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients);
  await clients.until("answers", (report) => report.heard > 20);
  const { old, next } = await switchovers.move("ends", from, to);
  await clients.end();
  assert.equal((await old.until("ends", "ended")).because, "all its connections have ended");
  await next.until("ends", "ended");
});

test("connections that don't end in time are reset, not left in silence", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("limit", from, to, 10);
  const report = await clients.until("their end", ({ open }) => open === 0);
  await clients.end();
  assert.equal(report.failures.length, 8);
  assert.ok(
    report.failures.every(({ how }) => how === "ECONNRESET"),
    JSON.stringify(report),
  );
});

test("a switchover that is ended before anything moved changes nothing", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.prepare("stopped", from, to);
  await switchovers.settle();
  assert.equal(await network.soleHolder("the same holder"), from);
  assert.deepEqual((await clients.end()).failures, []);
});

for (const victim of ["old", "new"] as const) {
  test(`a power cut of the ${victim} holder resets its connections, and no others`, async () => {
    const [from, to] = await holderAndAnother();
    const gone = victim === "old" ? from : to;
    const clients = startClients(network.clients, 0);
    await clients.until("answers", (report) => report.heard > 20);
    await switchovers.move(`power-cut-${victim}`, from, to);
    const late = startClients(network.clients, 0);
    await late.until("answers", (report) => report.heard > 20);
    await gone.setLink("down");
    const [broken, whole] = victim === "old" ? [clients, late] : [late, clients];
    const report = await broken.until("their end", ({ open }) => open === 0);
    assert.ok(
      report.failures.every(({ how }) => how === "ECONNRESET"),
      JSON.stringify(report),
    );
    const { heard } = await whole.report();
    // With the new holder the address goes to whoever takes it: only the old one has its own.
    const isNot = async () => (await network.holders()).find((each) => each !== gone);
    const holder = await until("a holder", isNot, { withinMs: WITHIN_MS });
    if (victim === "old" || holder === from) {
      await whole.until("more", (now) => now.heard > heard + 40);
      assert.deepEqual((await whole.report()).failures, []);
    }
    await broken.end();
    await whole.end();
    await switchovers.settle();
    await gone.setLink("up");
    await network.soleHolder("one holder");
  });
}

test("a prepared switchover whose new holder dies leaves the address where it is", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients);
  await clients.until("answers", (report) => report.heard > 20);
  const { old } = await switchovers.prepare("dies", from, to);
  await to.setLink("down");
  await orderHandOver(old.paths);
  await old.until("dies", "moved");
  // It stays a copy for its own connections until somebody holds the address: they go on meanwhile.
  await until("a holder", async () => (await network.holders()).some((each) => each !== to), {
    withinMs: WITHIN_MS,
  });
  assert.deepEqual((await clients.end()).failures, []);
  await to.setLink("up");
  await network.soleHolder("one holder");
});
