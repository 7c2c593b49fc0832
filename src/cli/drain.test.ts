import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { endOf, renderHandedOver, waitForDrain } from "./drain.ts";
import { meantBy } from "./restart.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const option = (error: unknown) => isFault(error, "cli.option");

test("endOf reads --for or --until, and refuses what can't be meant", () => {
  assert.equal(endOf({}, NOW_MS), undefined);
  assert.equal(endOf({ for: "2h" }, NOW_MS), "2026-11-20T14:00:00.000Z");
  assert.equal(endOf({ until: "2026-11-20T13:00:00Z" }, NOW_MS), "2026-11-20T13:00:00.000Z");
  for (const flags of [{ for: "10s" }, { for: "9y" }, { for: "2h", until: "15:00" }]) {
    assert.throws(() => endOf(flags, NOW_MS), option, JSON.stringify(flags));
  }
  assert.throws(
    () => endOf({ for: "soon" }, NOW_MS),
    (error) => isFault(error, "base.duration"),
  );
  assert.throws(
    () => endOf({ until: "2026-11-20T11:00:00Z" }, NOW_MS),
    (error) => isFault(error, "base.time"),
  );
});

test("meantBy wants exactly one way to say which servers restart", () => {
  assert.deepEqual(meantBy("s1", {}), { names: ["s1"], rest: false });
  assert.deepEqual(meantBy(undefined, { rolling: true }), { names: [], rest: false });
  assert.deepEqual(meantBy(undefined, { rest: true }), { names: [], rest: true });
  for (const [name, flags] of [
    [undefined, {}],
    ["s1", { rolling: true }],
    [undefined, { rolling: true, rest: true }],
  ] as const) {
    assert.throws(() => meantBy(name, flags), option);
  }
});

test("renderHandedOver says what becomes of open connections", () => {
  const moved = { to: "s2", addresses: ["10.0.0.10", "10.0.1.10"], connections: 3, breaks: "" };
  assert.equal(
    renderHandedOver(moved),
    " ✓ s2 holds 10.0.0.10 and 10.0.1.10; open connections go on: 3",
  );
  assert.match(renderHandedOver({ ...moved, connections: 0 }), /nobody was connected$/);
  assert.match(
    renderHandedOver({ ...moved, breaks: "moves are paused" }),
    /^! .*moves are paused$/,
  );
});

test("waitForDrain bears a daemon that restarts meanwhile, and one that stays away no longer than that", async () => {
  const of = (drained: boolean) => {
    const left = drained ? [] : ["1 request still there"];
    return { id: "s1", drained, requests: 0, addresses: [], left, silent: [] };
  };
  const looks = [of(false), undefined, of(true)];
  const lines: string[] = [];
  const output = { progress: (line: string) => lines.push(line) };
  const progress = await waitForDrain(async () => looks.shift(), output, { waitMs: 60_000 });
  assert.equal(progress?.drained, true);
  assert.match(lines.join("|"), /1 request still there\|.*daemon can't tell/);
  const away = waitForDrain(async () => undefined, output, { waitMs: 60_000, awayMs: -1 });
  assert.equal(await away, undefined);
});
