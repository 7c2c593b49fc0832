import assert from "node:assert/strict";
import { test } from "node:test";
import { renderHooks } from "./hooks.ts";
import { EXIT, testedCode } from "./output.ts";

test("testedCode is good only where something was tried and all of it worked", () => {
  for (const [results, code] of [
    [[], EXIT.failed],
    [[true], EXIT.ok],
    [[true, false], EXIT.failed],
    [[false], EXIT.failed],
  ] as const) {
    assert.equal(testedCode(results.map((ok) => ({ ok }))), code, String(results));
  }
});

test("renderHooks says of each hook whether it is run, why not, and how it last ended", () => {
  const last = { ok: false, because: "exit code 3", output: "no\u001b[31m route", tookMs: 4 };
  const at = "2026-11-20T12:00:00.000Z";
  const idle = { because: "", waiting: 0, dropped: 0 };
  const text = renderHooks({
    folder: "/etc/understudy/hooks.d",
    hooks: [
      { name: "10-note", runs: true, ...idle },
      {
        name: "20-page",
        runs: true,
        ...idle,
        dropped: 7,
        last: { ...last, event: "edge-down", at },
      },
      { name: "30\u001b[31m", runs: false, ...idle, because: "it is a link" },
    ],
  });
  const lines = text.split("\n").map((line) => line.replaceAll(/ {2,}/g, " | "));
  assert.match(lines[1] ?? "", /^10-note \| runs \| not yet \| 0 \| 0/);
  assert.match(
    lines[2] ?? "",
    /^20-page \| failed: exit code 3; it said: no\\u\{1b\}\[31m route \| 2026-11-20 12:00 edge-down \| 0 \| 7/,
  );
  assert.match(lines[3] ?? "", /^30\\u\{1b\}\[31m \| isn't run: it is a link/);
  assert.match(renderHooks({ folder: "/x", hooks: [] }), /no hooks in \/x/);
});
