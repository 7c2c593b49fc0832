import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { measureFsync, median, readFacts } from "./facts.ts";

test("readFacts gives a name, memory, and the version of what is installed", async () => {
  const facts = await readFacts();
  assert.notEqual(facts.name, "");
  assert.ok(facts.memoryMiB > 0);
  assert.match(facts.versions.openssl ?? "", /^\d+\.\d+/);
});

test("measureFsync leaves nothing behind, nor what one that was killed left", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-facts-"));
  await writeFile(join(folder, ".understudy-fsync.tmp"), "left over");
  assert.ok((await measureFsync(folder)) >= 0);
  assert.deepEqual(await readdir(folder), []);
  await rm(folder, { recursive: true });
});

test("median is the middle value, whatever the order", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1]), 1);
  assert.equal(median([]), 0);
});
