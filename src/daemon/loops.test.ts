import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { startFleet } from "../ca/testing/fleet.ts";
import type { Leadership } from "../cluster/leader.ts";
import { textsOf } from "../cluster/warning.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import type { EdgeRunner } from "./edge.ts";
import { lookAt, loopWarnings } from "./loop-watch.ts";
import { createChanges, type LoopHost, type ServerLoopParts, startServerLoops } from "./loops.ts";

const fleet = await startFleet();
after(() => fleet.close());

/** A server that has read no view yet: all its loops but the CA's do nothing. */
function hostWithoutView(signal: AbortSignal): LoopHost {
  const keeper = {
    current: () => undefined,
    record: () => ({ reachable: true, because: "", ageMs: 0, ageIsMost: false }),
    onChange: () => undefined,
  };
  const host = { keeper, log: createLog(() => undefined), signal };
  return host as unknown as LoopHost;
}

void test("startServerLoops hands the CA's loops out too: one that keeps failing is named", async (t) => {
  const { ca, cadir } = await fleet.server("s1");
  await ca.repair();
  const inTheWay = join(cadir, "signed/x.test.pem");
  await mkdir(inTheWay);
  await writeFile(join(inTheWay, "y"), "");
  const stop = new AbortController();
  t.after(() => stop.abort());
  const edge = { tick: async () => undefined, status: () => ({ active: false }) };
  const loops = startServerLoops(
    hostWithoutView(stop.signal),
    {
      ca,
      edge: edge as unknown as EdgeRunner,
      hostCertificate: { keep: async () => false },
      courier: { tick: async () => undefined, status: async () => undefined },
      onWake: () => undefined,
    },
    {} as Leadership,
  );
  const warnings = () => textsOf(loopWarnings(loops.map(lookAt), monotonicMs(), true));
  await until("a warning", () => warnings().length > 0, { withinMs: 15_000 });
  assert.match(
    warnings().join("\n"),
    /^"ca record" keeps failing: \/.*\/signed\/x\.test\.pem: EISDIR.*$/,
  );
  await rm(inTheWay, { recursive: true });
  await until("no warning", () => warnings().length === 0, { withinMs: 15_000 });
  stop.abort();
  await Promise.all(loops.map(async ({ ended }) => ended));
});

void test("a paused server's loops change nothing of it but what is revoked; paused chores rest", async (t) => {
  const end = new Date(wallMs() + 600_000).toISOString();
  for (const [scope, expected] of [
    ["server", ["edge", "voters rest"]],
    ["chores", ["courier", "edge", "voters rest"]],
  ] as const) {
    const stop = new AbortController();
    t.after(() => stop.abort());
    const called = new Set<string>();
    const call = (what: string) => async () => void called.add(what);
    const pause = {
      scope,
      id: scope === "server" ? "s1" : undefined,
      by: "ops",
      at: "",
      until: end,
    };
    const view = {
      settings: { virtualIps: [] },
      members: [],
      work: { drains: [], pauses: [{ ...pause, reason: "" }] },
    };
    const base = hostWithoutView(stop.signal);
    const host = {
      ...base,
      node: { id: "s1" },
      keeper: { ...base.keeper, current: () => view },
      voters: { rest: () => called.add("voters rest"), step: call("voters step") },
      etcd: { members: { list: call("etcd") } },
    } as unknown as LoopHost;
    const loops = startServerLoops(
      host,
      {
        ca: { startLoops: () => [], ejected: () => undefined } as unknown as ServerLoopParts["ca"],
        edge: { tick: call("edge"), status: () => ({ active: true }) } as unknown as EdgeRunner,
        hostCertificate: { keep: async () => Boolean(called.add("certificate")) },
        courier: { tick: call("courier"), status: async () => undefined },
        onWake: () => undefined,
      },
      { tick: async () => true, holds: () => true },
    );
    const rounds = () => loops.every((loop) => loop.last() !== undefined);
    await until("every loop's first round", rounds, { withinMs: 15_000 });
    called.delete("etcd");
    assert.deepEqual([...called].toSorted(), expected, scope);
    stop.abort();
    await Promise.all(loops.map(async ({ ended }) => ended));
  }
});

void test("createChanges acts on what is new, after a failure, and every so often", async () => {
  const acts: unknown[] = [];
  let fails = false;
  const changes = createChanges(4);
  const give = async (given: unknown) => {
    await changes
      .act(given, async () => {
        acts.push(given);
        if (fails) throw new Error("not now");
      })
      .catch(() => undefined);
    return acts.splice(0).length;
  };
  assert.equal(await give("a"), 1);
  assert.equal(await give("a"), 0);
  assert.equal(await give("b"), 1);
  assert.equal(await give("b"), 1, "the fourth time");
  fails = true;
  assert.equal(await give("c"), 1);
  assert.equal(await give("c"), 1);
  fails = false;
  assert.equal(await give("c"), 1);
  assert.equal(await give("c"), 1, "the eighth time");
  assert.equal(await give("c"), 0);
});
