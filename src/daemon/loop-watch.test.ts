import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { startLoop } from "../base/loop.ts";
import { until } from "../base/retry.ts";
import { textsOf } from "../cluster/warning.ts";
import { monotonicMs } from "../host/clock.ts";
import { allHaveLooked, hungLoop, lookAt, loopWarnings, type LoopState } from "./loop-watch.ts";

const failed = (because: string, failures: number): LoopState => ({
  name: "voters",
  last: { ok: false, endedMs: 0, because, failures },
  sinceMs: undefined,
  gotOnMs: undefined,
});
const running = (sinceMs: number, gotOnMs = sinceMs): LoopState => ({
  name: "edge",
  last: undefined,
  sinceMs,
  gotOnMs,
});

test("loopWarnings tells of loops that keep failing and of rounds without end", () => {
  const cases: [string, LoopState, boolean, string[]][] = [
    ["a single failure", failed("x", 1), true, []],
    ["the second in a row", failed("x", 2), true, ['"voters" keeps failing: x']],
    ["etcd's, while it's known that it is away", failed("etcd.unreachable: y", 9), false, []],
    [
      "etcd's, while it can be read",
      failed("etcd.no-space: full", 2),
      true,
      ['"voters" keeps failing: etcd.no-space: full'],
    ],
    ["another's, without the record", failed("x", 2), false, ['"voters" keeps failing: x']],
    ["a round that began just now", running(950_000), true, []],
    ["a long round", running(800_000), true, ['"edge" has been at one round for 200 s']],
  ];
  for (const [what, loop, reachable, expected] of cases) {
    assert.deepEqual(textsOf(loopWarnings([loop], 1_000_000, reachable)), expected, what);
  }
});

test("hungLoop names a round that ends no more", () => {
  assert.equal(hungLoop([failed("x", 99), running(500_000)], 1_000_000), "");
  assert.equal(hungLoop([running(0)], 1_000_000), '"edge" has hung for 900 s');
});

test("hungLoop leaves a long round alone for as long as it gets on", () => {
  assert.equal(hungLoop([running(0, 900_000)], 1_000_000), "");
  assert.equal(hungLoop([running(0, 900_000)], 2_000_000), '"edge" has hung for 900 s');
});

test("a real loop whose body hangs is seen while it hangs", async () => {
  const stop = new AbortController();
  let release = (): void => undefined;
  const loop = startLoop({
    name: "edge",
    everyMs: 1,
    log: createLog(() => undefined),
    signal: stop.signal,
    body: async () => new Promise<void>((resolve) => (release = resolve)),
  });
  const later = monotonicMs() + 1_000_000;
  assert.match(hungLoop([lookAt(loop)], later), /"edge" has hung/);
  stop.abort();
  release();
  await loop.ended;
  assert.equal(hungLoop([lookAt(loop)], later), "");
});

test("a real loop that fails again and again is told of, until a round succeeds", async () => {
  const stop = new AbortController();
  let broken = true;
  const loop = startLoop({
    name: "virtual IPs",
    everyMs: 1,
    log: createLog(() => undefined),
    signal: stop.signal,
    body: async () => {
      if (broken) throw new Error("keepalived can't be started");
    },
  });
  const warnings = () => textsOf(loopWarnings([lookAt(loop)], monotonicMs(), true));
  await until("a warning", () => warnings().length > 0, { withinMs: 5000, everyMs: 1 });
  assert.deepEqual(warnings(), ['"virtual IPs" keeps failing: keepalived can\'t be started']);
  broken = false;
  await until("no warning", () => warnings().length === 0, { withinMs: 5000, everyMs: 1 });
  stop.abort();
  await loop.ended;
});

test("allHaveLooked waits for each loop's first round, but not for ever", () => {
  const { last } = failed("x", 1);
  const states: { last: typeof last }[] = [{ last }, { last: undefined }];
  const looked = allHaveLooked(
    states.map((state) => ({ last: () => state.last })),
    1000,
  );
  assert.equal(looked(2000), false);
  for (const state of states) state.last = last;
  assert.equal(looked(3000), true);
  const never = allHaveLooked([{ last: () => undefined }], 1000);
  assert.equal(never(61_000), false);
  assert.equal(never(61_001), true);
});
