import assert from "node:assert/strict";
import { test } from "node:test";
import { GRACE_MS, KEEP_MS } from "./plan.ts";
import { judgeWindow, reportWindows, splitWindow, WINDOW_REPORTS_MAX } from "./windows.ts";

const NOW = Date.parse("2026-11-20T12:00:00Z");

void test("reportWindows covers what is kept without gaps, the newest day first, cut at midnight", () => {
  for (const nowMs of [NOW, Date.parse("2026-11-20T00:00:00Z"), NOW + 1]) {
    const windows = reportWindows(nowMs, nowMs - GRACE_MS);
    assert.equal(windows[0]?.toMs, nowMs - GRACE_MS);
    assert.equal(windows.at(-1)?.fromMs, nowMs - KEEP_MS);
    windows.slice(1).forEach((window, index) => {
      assert.equal(window.toMs, windows[index]?.fromMs);
      assert.equal(new Date(window.toMs).toISOString().slice(11), "00:00:00.000Z");
    });
    assert.ok(windows.every(({ fromMs, toMs }) => fromMs < toMs));
  }
});

void test("judgeWindow compares what differs, or everything, and splits what is too much at once", () => {
  const window = { fromMs: NOW - 1000, toMs: NOW };
  const many = WINDOW_REPORTS_MAX + 1;
  const cases: [number, number, boolean, string][] = [
    [0, 0, true, "level"],
    [5, 0, true, "level"],
    [5, 5, false, "level"],
    [5, 5, true, "compare"],
    [4, 5, false, "compare"],
    [many, many, false, "level"],
    [0, many, false, "split"],
  ];
  for (const [here, there, every, expected] of cases) {
    assert.equal(judgeWindow(window, { here, there }, every), expected);
  }
  const finest = { fromMs: NOW, toMs: NOW + 1 };
  assert.equal(judgeWindow(finest, { here: 0, there: many }, false), "compare");
});

void test("splitWindow halves a window without gaps", () => {
  const [newer, older] = splitWindow({ fromMs: 10, toMs: 13 });
  assert.deepEqual(
    [older, newer],
    [
      { fromMs: 10, toMs: 11 },
      { fromMs: 11, toMs: 13 },
    ],
  );
});
