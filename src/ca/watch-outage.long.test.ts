// What a daemon does while etcd is down: it tries again, and doesn't go round.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { startFleet, type Fleet } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(async () => fleet.close());

void test("without etcd the CA's record is watched anew once a second at most, and again when it is back", async () => {
  const etcd = fleet.cluster.client();
  let watches = 0;
  const counting = {
    ...etcd,
    watch: (...args: Parameters<typeof etcd.watch>) => {
      watches += 1;
      etcd.watch(...args);
    },
  };
  const daemon = await fleet.server("s1", { etcd: counting });
  const stopped = new AbortController();
  const loops = daemon.ca.startLoops(stopped.signal);
  const settled = () => watches > 0 && loops[0]?.last()?.ok === true;
  await until("it watches", settled, { withinMs: 10_000 });
  const [member] = fleet.cluster.members;
  assert.ok(member);
  await member.stop();
  const [before, beganMs] = [watches, monotonicMs()];
  await until("it has tried again", () => watches >= before + 3, { withinMs: 30_000, everyMs: 10 });
  const seconds = (monotonicMs() - beganMs) / 1000;
  assert.ok(watches - before <= seconds + 2, `${watches - before} watches in ${seconds} s`);
  member.start();
  const again = watches;
  await until("it watches again", () => watches > again, { withinMs: 30_000 });
  stopped.abort();
  await Promise.all(loops.map(({ ended }) => ended));
  await daemon.stop();
});
