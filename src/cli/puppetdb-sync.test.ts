import assert from "node:assert/strict";
import { test } from "node:test";
import type { SyncRound } from "../cluster/sync-status.ts";
import { renderDiff, renderRound } from "./puppetdb-sync.ts";

const ROUND: SyncRound = {
  id: "x",
  by: "hand",
  startedAt: "2026-11-20T12:00:00.000Z",
  endedAt: "2026-11-20T12:00:10.000Z",
  ok: true,
  because: "",
  moved: { catalog: 1, report: 12 },
  left: 0,
  leftAlone: [],
  others: [{ id: "s2", because: "" }],
};

void test("renderRound says what was brought, from where, and what stays", () => {
  assert.equal(
    renderRound(ROUND),
    "This server's PuppetDB is level. Brought: 1 catalog, 12 reports.\nCompared with: s2.",
  );
  const leftAlone = [{ kind: "facts", certname: "a.test", because: "brought once, and not kept" }];
  const text = renderRound({
    ...ROUND,
    ok: false,
    because: "s3: no answer",
    moved: {},
    left: 2,
    leftAlone,
    others: [...ROUND.others, { id: "s3", because: "no answer" }],
  });
  assert.match(text, /is not level yet: s3: no answer\. Brought: nothing\.\nCompared with: s2\./);
  assert.match(
    text,
    /2 differ and stay so, among them:\nCERTNAME .*\na\.test +facts +brought once/,
  );
});

void test("renderDiff shows a column for each PuppetDB, and who wasn't compared", () => {
  const none = { compared: ["s1", "s2"], missing: [], rows: [], total: 0 };
  assert.equal(renderDiff(none), "No difference between s1 and s2.");
  const rows = [{ certname: "a.test", kind: "reports", has: { s2: "3" } }];
  assert.deepEqual(renderDiff({ ...none, rows, total: 2 }).split("\n"), [
    "CERTNAME  KIND     s1  s2",
    "a.test    reports  -   3",
    "and 1 more",
  ]);
  const missing = [{ id: "s2", because: "no answer" }];
  assert.match(
    renderDiff({ ...none, compared: ["s1"], missing }),
    /^s2's PuppetDB wasn't compared: no answer\nNothing to compare/,
  );
});
