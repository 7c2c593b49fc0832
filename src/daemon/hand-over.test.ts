import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../base/fault.ts";
import { handOver, type Moves, planHandOver } from "./hand-over.ts";

const VIP = "10.0.0.10";

/** Switchovers, of which those to a server fail first as `failures` says. */
function movesThat(failures: Record<string, Fault[]>): { moves: Moves; asked: string[] } {
  const asked: string[] = [];
  const moves: Moves = {
    plan: async ({ to = "" }) => {
      const refused = failures[to]?.[0]?.message ?? "";
      const none = { moves: [], already: false, before: [], after: [], lines: [] };
      return { ...none, from: "s1", to, refused };
    },
    run: async ({ to = "", limitS }) => {
      asked.push(to);
      const failure = failures[to]?.shift();
      if (failure !== undefined) throw failure;
      const done = { from: "s1", to, already: false, limitS, addresses: [VIP] };
      return { ...done, holders: [], connections: 7, tookMs: 1 };
    },
  };
  return { moves, asked };
}

const refused = (why: string) => new Fault("switchover.refused", why);
const running = () => new Fault("switchover.running", "another switchover is running");

test("handOver takes the next server where one refuses, and waits for another switchover", async () => {
  const { moves, asked } = movesThat({ s2: [refused("s2 is paused")], s3: [running()] });
  const said = await handOver(moves, [VIP], ["s2", "s3", "s4"]);
  assert.deepEqual(said, { to: "s3", addresses: [VIP], connections: 7, breaks: "" });
  assert.deepEqual(asked, ["s2", "s3", "s3"]);
});

test("handOver says why each refuses, and waits for nothing where that isn't wanted", async () => {
  const all = movesThat({ s2: [refused("s2 is paused")], s3: [refused("s3's edge is down")] });
  const said = await handOver(all.moves, [VIP], ["s2", "s3"]);
  assert.deepEqual(said?.breaks, "s2 is paused; s3's edge is down");
  const busy = movesThat({ s2: [running()], s3: [running()] });
  assert.match((await handOver(busy.moves, [VIP], ["s2", "s3"], 0))?.breaks ?? "", /is running/);
  assert.deepEqual(busy.asked, ["s2"]);
});

test("handOver asks no further server once the old holder may have let go", async () => {
  const lost = new Fault("switchover.not-taken", "s2 hasn't taken over");
  const { moves, asked } = movesThat({ s2: [lost] });
  assert.match((await handOver(moves, [VIP], ["s2", "s3"]))?.breaks ?? "", /hasn't taken over/);
  assert.deepEqual(asked, ["s2"]);
});

test("planHandOver names the first that can take them; none where there is nothing to move", async () => {
  const { moves } = movesThat({ s2: [refused("s2 is paused")] });
  assert.deepEqual(await planHandOver(moves, [VIP], ["s2", "s3"]), { to: "s3", breaks: "" });
  assert.deepEqual(await planHandOver(moves, [VIP], ["s2"]), { to: "s2", breaks: "s2 is paused" });
  assert.equal(await planHandOver(moves, [], ["s2"]), undefined);
  assert.equal(await planHandOver(moves, [VIP], []), undefined);
});
