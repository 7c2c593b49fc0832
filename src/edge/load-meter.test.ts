import assert from "node:assert/strict";
import { test } from "node:test";
import { SLOT_MS, SLOTS } from "../cluster/load.ts";
import { createRequestMeter } from "./counters.ts";
import { createLoadMeter } from "./load-meter.ts";
import type { EdgeServer, EdgeState } from "./observe.ts";

function state(servers: Partial<EdgeServer>[], waiting = 0, running = true): EdgeState {
  const idle: EdgeServer = {
    name: "a",
    state: "up",
    because: "",
    sinceS: 1,
    busy: 0,
    maxconn: 4,
    queued: 0,
    total: 0,
    responseMs: 0,
  };
  return {
    running,
    structure: undefined,
    workers: [],
    servers: servers.map((each) => ({ ...idle, ...each })),
    waiting,
    connections: 0,
    replays: 0,
    authority: true,
    poisonous: [],
    files: { haproxyCfg: undefined, waitLua: undefined },
  };
}

const BEGUN_MS = 10 * SLOT_MS;

test("createLoadMeter tells the mean of what ran and waited, half hour by half hour", () => {
  const meter = createLoadMeter();
  for (let look = 0; look < 100; look++) {
    meter.see(state([{ busy: 2 }, { name: "b", busy: 1 }], look % 2), BEGUN_MS + look * 5000);
  }
  assert.deepEqual(meter.read(BEGUN_MS + SLOT_MS - 1).past.slice(0, 1), [null]);
  assert.equal(meter.read(BEGUN_MS + SLOT_MS - 1).now, 3.5);
  const later = meter.read(BEGUN_MS + SLOT_MS);
  assert.deepEqual([later.slot, later.now, later.past[0], later.past[1]], [11, 0, 3.5, null]);
});

test("createLoadMeter makes nothing of a few looks, and none of an edge that is down", () => {
  const meter = createLoadMeter();
  for (let look = 0; look < 5; look++) meter.see(state([{ busy: 9 }]), BEGUN_MS + look);
  for (let look = 0; look < 100; look++) meter.see(state([{ busy: 9 }], 0, false), BEGUN_MS);
  assert.equal(meter.read(BEGUN_MS + SLOT_MS).past[0], null);
});

test("createLoadMeter forgets what is older than a day", () => {
  const meter = createLoadMeter();
  for (let slot = 0; slot < 3 * SLOTS; slot++) {
    for (let look = 0; look < 60; look++) meter.see(state([{ busy: 1 }]), slot * SLOT_MS + look);
  }
  assert.deepEqual(
    meter.read(3 * SLOTS * SLOT_MS).past,
    Array.from({ length: SLOTS }, () => 1),
  );
});

test("createRequestMeter adds up over HAProxy's reloads, and tells requests per second", () => {
  const meter = createRequestMeter();
  meter.see(state([{ total: 100 }]), 0);
  assert.deepEqual(meter.of("a"), { total: 100, perS: 0 });
  meter.see(state([{ total: 110 }]), 5000);
  assert.deepEqual(meter.of("a"), { total: 110, perS: 2 });
  meter.see(state([{ total: 5 }]), 10_000);
  assert.deepEqual(meter.of("a"), { total: 115, perS: 1 });
  meter.see(state([{ name: "b" }]), 15_000);
  assert.deepEqual(meter.of("a"), { total: 0, perS: 0 });
});
