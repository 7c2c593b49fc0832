import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { keepSpare, SPARE_BYTES, writeToSpare } from "./spare.ts";

const BLOCK_BYTES = 512;

test("a spare file has its blocks, and takes a text without needing others", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-spare-"));
  try {
    const path = join(folder, "x.cfg");
    await assert.rejects(writeToSpare(path, "text"), { code: "ENOENT" });
    await keepSpare(path);
    const [name = ""] = await readdir(folder);
    const before = await stat(join(folder, name));
    assert.ok(before.blocks * BLOCK_BYTES >= SPARE_BYTES, `${before.blocks} blocks`);
    await keepSpare(path);
    assert.equal((await stat(join(folder, name))).ino, before.ino, "once is enough");
    const written = await writeToSpare(path, "text\n");
    assert.equal((await stat(written)).ino, before.ino);
    assert.equal(await readFile(written, "utf8"), "text\n");
  } finally {
    await rm(folder, { recursive: true });
  }
});
