import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DELETIONS_KEPT_MS, openDeletions } from "./deletions.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");

void test("openDeletions keeps what was added, the latest of each node, over torn lines and ages", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "deletions-"));
  t.after(async () => rm(folder, { recursive: true }));
  const path = join(folder, "deleted");
  const first = await openDeletions(path, NOW_MS);
  assert.deepEqual(first.all(), []);
  const versions = new Set([first.version]);
  await Promise.all([first.add([["a.test", NOW_MS]]), first.add([["b.test", NOW_MS - 5]])]);
  versions.add(first.version);
  await first.add([["a.test", NOW_MS - 1]]);
  assert.equal(first.at("a.test"), NOW_MS);
  await first.add([["a.test", NOW_MS + 1]]);
  versions.add(first.version);
  assert.equal(versions.size, 3);
  await first.close();

  // A power cut in the middle of a line: its time would be another one.
  await appendFile(path, `\nc.test ${String(NOW_MS).slice(0, 10)}`);
  const second = await openDeletions(path, NOW_MS);
  assert.deepEqual(
    new Map(second.all()),
    new Map([
      ["a.test", NOW_MS + 1],
      ["b.test", NOW_MS - 5],
    ]),
  );
  await second.add([["d.test", NOW_MS]]);
  await second.close();
  await writeFile(path, (await readFile(path, "utf8")) + "garbage\0\ne.test");
  const third = await openDeletions(path, NOW_MS);
  await third.add([["f.test", NOW_MS]]);
  await third.close();
  const later = await openDeletions(path, NOW_MS + DELETIONS_KEPT_MS);
  assert.deepEqual(later.all(), [["a.test", NOW_MS + 1]]);
  assert.equal(await readFile(path, "utf8"), `a.test ${NOW_MS + 1}\n`);
  await later.close();
});

void test("openDeletions says why one can't be kept, and knows nothing of it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "deletions-"));
  t.after(async () => rm(folder, { recursive: true, force: true }));
  const deletions = await openDeletions(join(folder, "deleted"), NOW_MS);
  await rm(folder, { recursive: true });
  await assert.rejects(deletions.add([["a.test", NOW_MS]]), /ENOENT/);
  assert.equal(deletions.at("a.test"), undefined);
  await deletions.close();
});
