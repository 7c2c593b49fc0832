import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, judgeRun } from "./agent-output.ts";

const APPLIED = "Info: Using environment 'production'\nNotice: Applied catalog in 0.03 seconds\n";

test("judgeRun takes exit codes 0 and 2 for good when a catalog was applied", () => {
  assert.deepEqual(judgeRun(0, false, APPLIED), {
    ok: true,
    hung: false,
    changed: false,
    because: "",
  });
  assert.equal(judgeRun(2, false, APPLIED).ok, true);
  assert.equal(judgeRun(2, false, APPLIED).changed, true);
});

test("judgeRun isn't deceived by exit code 0", () => {
  const cases = [
    ["Notice: Using cached catalog from environment 'production'\n" + APPLIED, /cached catalog/],
    [`${APPLIED}Error: Could not send report: Connection reset by peer\n`, /send report/],
    ["Error: Could not retrieve catalog; skipping run\n", /skipping run/],
    ["Info: Retrieving pluginfacts\n", /applied no catalog/],
    [
      `Error: /File[/x]: Failed to generate additional resources\n${APPLIED}`,
      /additional resources/,
    ],
    [
      `\u001B[1;31mError: Could not retrieve catalog from remote server: SSL_read\u001B[0m\n${APPLIED}`,
      /^Error: Could not retrieve catalog from remote server: SSL_read$/,
    ],
  ] as const;
  for (const [output, because] of cases) {
    const verdict = judgeRun(0, false, output);
    assert.equal(verdict.ok, false, output);
    assert.match(verdict.because, because);
  }
});

test("judgeRun calls other exit codes, signals and overlong runs failed", () => {
  for (const code of [1, 4, 6, 127]) assert.equal(judgeRun(code, false, APPLIED).ok, false);
  assert.match(judgeRun(null, false, APPLIED).because, /exit code none/);
  assert.deepEqual(judgeRun(null, true, APPLIED), {
    ok: false,
    hung: true,
    changed: false,
    because: "it hung and was ended",
  });
});

test("excerpt keeps the last lines, without colours", () => {
  assert.equal(excerpt("a\nb\n\u001B[0;32mc\u001B[0m\n", 2), "b\nc");
});
