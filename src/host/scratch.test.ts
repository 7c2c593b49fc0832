import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openScratch } from "./scratch.ts";

void test("openScratch gives back what was written, and leaves no file in the folder", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-scratch-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const scratch = openScratch(folder);
  assert.deepEqual(await readdir(folder), []);
  scratch.write(Buffer.from("first"), 0);
  scratch.write(Buffer.from("second"), 100);
  assert.equal(scratch.read(100, 6).toString(), "second");
  assert.equal(scratch.read(0, 5).toString(), "first");
  assert.throws(() => scratch.read(104, 6), /ends at 106/);
  scratch.close();
  assert.throws(() => openScratch(join(folder, "none")), /ENOENT/);
});
