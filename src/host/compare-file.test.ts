import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { compareFileSync } from "./compare-file.ts";

void test("compareFileSync tells a file that is the same from others, and from none", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-compare-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "file");
  for (const [there, wanted, expected] of [
    ["content", "content", "same"],
    ["content", "conten", "other"],
    ["content", "contents", "other"],
    ["content", "contenT", "other"],
    ["content", "", "other"],
    ["ö", "ö", "same"],
    ["ö", "o", "other"],
    ["", "", "same"],
    ["", "x", "other"],
    ["x".repeat(100_000), "x".repeat(100_000), "same"],
    ["x".repeat(100_000), "x".repeat(99_999), "other"],
  ] as const) {
    await writeFile(path, there);
    assert.equal(compareFileSync(path, wanted), expected);
  }
  assert.equal(compareFileSync(join(folder, "none"), "x"), "missing");
  assert.throws(() => compareFileSync(folder, "x"), /understudy-compare-.*EISDIR/);
});
