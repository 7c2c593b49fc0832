import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { startFleet } from "../ca/testing/fleet.ts";
import type { Leadership } from "../cluster/leader.ts";
import { monotonicMs } from "../host/clock.ts";
import type { EdgeRunner } from "./edge.ts";
import { lookAt, loopWarnings } from "./loop-watch.ts";
import { createChanges, type LoopHost, startServerLoops } from "./loops.ts";

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
  const warnings = () => loopWarnings(loops.map(lookAt), monotonicMs(), true);
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
