// Many synthetic agents at once against a real server on loopback.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { startProber } from "./prober.ts";
import { TestServer } from "./testing/server.ts";

const WITHIN = { withinMs: 20_000, everyMs: 20 };
let server: TestServer;
beforeEach(async () => {
  server = new TestServer();
  await server.start();
});
afterEach(async () => server.kill());

test("startProber asks by new connections and by one that it keeps, until it is stopped", async () => {
  const prober = startProber(server.access);
  const { catalogs, kept, connects } = prober;
  await until("some of each", () => catalogs.length > 2 && kept.length > 2, WITHIN);
  await prober.stop(10_000);
  assert.ok([...catalogs, ...kept, ...connects].every(({ ok }) => ok));
  assert.ok(connects.length > catalogs.length);
  assert.equal(new Set(kept.map(({ port }) => port)).size, 1);
  assert.equal(new Set(catalogs.map(({ port }) => port)).size, catalogs.length);
  const before = [catalogs.length, kept.length, connects.length];
  // What it might have begun since would be over by then.
  await until("another agent", async () => (await fetchOnce()) > 0, WITHIN);
  assert.deepEqual([catalogs.length, kept.length, connects.length], before);
});

async function fetchOnce(): Promise<number> {
  const another = startProber(server.access);
  await until("its first catalog", () => another.catalogs.length > 0, WITHIN);
  await another.stop(10_000);
  return another.catalogs.length;
}

test("startProber waits for nobody: what is without an answer in the end has failed", async () => {
  server.answer = () => undefined;
  const prober = startProber(server.access);
  await until("several at once", () => server.asked.length > 2, WITHIN);
  await prober.stop(0);
  const { catalogs, kept, connects } = prober;
  assert.ok(catalogs.length > 1 && kept.length === 1, `${catalogs.length} and ${kept.length}`);
  assert.ok(
    [...catalogs, ...kept].every(({ ok, because }) => !ok && because === "no answer in time"),
  );
  assert.ok(
    connects.some(({ ok }) => ok),
    "connections are made all the while",
  );
});

test("startProber that is calmed goes on", async () => {
  const prober = startProber(server.access);
  prober.calm();
  const { catalogs, connects } = prober;
  await until("a catalog", () => catalogs.length > 0 && connects.length > 4, WITHIN);
  await prober.stop(10_000);
});
