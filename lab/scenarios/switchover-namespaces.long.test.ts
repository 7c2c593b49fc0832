// Hazard: an address is moved on purpose, and a connection breaks, or is left in silence. Real
// keepalived, HAProxy, nftables and TCP in network namespaces of this test alone, each behind a
// firewall that drops what connection tracking doesn't know, and everything forwarded. Needs root.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { REFUSING, WILLING } from "../../src/vip/priority.ts";
import { TABLES } from "../../src/vip/switchover/plan.ts";
import { orderHandOver } from "../../src/vip/switchover/tell.ts";
import { type ClientReport, VipClients } from "../vip-clients.ts";
import { ADDRESS, VipNetwork, type VipServer } from "../vip-network.ts";
import { Switchovers } from "../vip-switchover.ts";

const MOVES = 50;
const WITHIN_MS = 30_000;
/** Of four that speak 20 times a second: a quarter of a minute, several times what a side waits. */
const CHAIN_ANSWERS = 1200;
const HEARD = ["nft", "list", "set", "netdev", TABLES.old, "heard0"];

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
  for (const server of network.servers) await server.setLink("up");
  await network.soleHolder("one holder");
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

test("a server without connections of its own goes on passing on those of the one before it", async () => {
  const first = await network.soleHolder("a holder");
  const [second, third] = network.servers.filter((each) => each !== first);
  assert.ok(second !== undefined && third !== undefined);
  // None comes to the second server, which would have nothing to wait for.
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("chain-1", first, second);
  await switchovers.move("chain-2", second, third);
  const { heard } = await clients.report();
  // Much longer than a side without connections stays, and than it is heard of afterwards.
  await clients.until("more", (report) => report.heard > heard + CHAIN_ANSWERS);
  const { failures } = await clients.end();
  assert.deepEqual(failures, []);
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

test("a move by force breaks the connections that are asked, and no new ones", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("forced", from, to, 600, false);
  const late = startClients(network.clients);
  await late.until("answers", (report) => answered(report, to) > 20 && report.heard > 20);
  assert.deepEqual((await late.end()).failures, []);
  const { failures } = await clients.until("their end", (report) => report.failures.length >= 4);
  const asking = failures.filter(({ kind }) => kind === "kept");
  assert.deepEqual(new Set(asking.map(({ how }) => how)), new Set(["ECONNRESET"]));
  await clients.end();
});

test("a server that passes connections on may be made to give that up, and nothing of it is left", async () => {
  const [from, to] = await holderAndAnother();
  const third = network.servers.find((each) => each !== from && each !== to);
  assert.ok(third !== undefined);
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("first", from, to);
  await switchovers.move("second", to, third);
  await switchovers.move("forced-back", third, to, 600, false);
  const { failures } = await clients.until("their end", (report) => report.failures.length >= 4);
  assert.deepEqual(new Set(failures.map(({ how }) => how)), new Set(["ECONNRESET"]));
  await clients.end();
});

test("a power cut of the old holder resets its connections, those that only listen too", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("power-cut-old", from, to);
  const late = startClients(network.clients);
  await late.until("answers", (report) => report.heard > 20);
  await from.setLink("down");
  const { failures } = await clients.until("their end", ({ open }) => open === 0);
  assert.ok(
    failures.every(({ how }) => how === "ECONNRESET"),
    JSON.stringify(failures),
  );
  const { heard } = await late.report();
  await late.until("more", (now) => now.heard > heard + 40);
  assert.deepEqual((await late.end()).failures, []);
  await clients.end();
});

test("a power cut of the new holder leaves the old one's connections alone when that takes over", async () => {
  const [from, to] = await holderAndAnother();
  for (const server of network.servers) {
    // Whoever is neither would take the address, and knows nothing of the connections.
    if (server !== from && server !== to) await server.want(REFUSING);
  }
  const clients = startClients(network.clients, 0);
  await clients.until("answers", (report) => report.heard > 20);
  await switchovers.move("power-cut-new", from, to);
  const late = startClients(network.clients, 0);
  await late.until("answers", (report) => report.heard > 20);
  await to.setLink("down");
  const lost = await late.until(
    "the end of those that ask",
    ({ failures }) => failures.length >= 4,
  );
  // The address is with a server that never knew them: whoever says something hears so.
  const asking = lost.failures.filter(({ kind }) => kind === "kept");
  assert.deepEqual(new Set(asking.map(({ how }) => how)), new Set(["ECONNRESET"]));
  const { heard } = await clients.report();
  await clients.until("more", (now) => now.heard > heard + 40);
  assert.deepEqual((await clients.end()).failures, []);
  await late.end();
  for (const server of network.servers) await server.want(WILLING);
});

test("an old holder that doesn't hear the new one any more lets nothing go", async () => {
  const [from, to] = await holderAndAnother();
  const clients = startClients(network.clients);
  await clients.until("answers", (report) => report.heard > 20);
  const { old } = await switchovers.prepare("unheard", from, to);
  await to.setLink("down");
  await until("silence", async () => !(await from.run(HEARD)).includes("elements"), {
    withinMs: WITHIN_MS,
  });
  await orderHandOver(old.paths);
  const { because } = await old.until("unheard", "ended");
  assert.match(because, /isn't heard any more/);
  assert.equal(await network.soleHolder("the same holder"), from);
  assert.deepEqual((await clients.end()).failures, []);
});
