import assert from "node:assert/strict";
import { test } from "node:test";
import { renderMoved, renderSync, type SyncStatus } from "./sync-status.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

void test("renderMoved counts by kind in words", () => {
  assert.equal(renderMoved({}), "nothing");
  assert.equal(
    renderMoved({ catalog: 2, facts: 1, report: 0, revival: 3 }),
    "2 catalogs, 1 factset, 3 expired nodes",
  );
});

void test("renderSync shows what runs, else how the last one ended", () => {
  const last: NonNullable<SyncStatus["last"]> = {
    id: "x",
    by: "timer",
    startedAt: "2026-11-20T11:58:00.000Z",
    endedAt: "2026-11-20T11:58:30.000Z",
    ok: true,
    because: "",
    moved: {},
    left: 0,
    leftAlone: [],
    others: [],
  };
  const level = { standing: "level", because: "" } as const;
  const running = { id: "y", what: "brings reports", done: 3, of: 10 };
  const failed = { ...last, ok: false, because: "s2: no answer", left: 2 };
  const cases: [SyncStatus, string][] = [
    [level, "not yet"],
    [{ ...level, last }, "1m 30s ago: nothing"],
    [{ ...level, last, running }, "brings reports 3 of 10"],
    [{ ...level, last: failed }, "1m 30s ago, not whole: s2: no answer"],
  ];
  for (const [status, text] of cases) assert.equal(renderSync(status, NOW), text);
});
