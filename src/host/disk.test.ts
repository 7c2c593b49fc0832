import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readDisks } from "./disk.ts";

test("readDisks tells each file system once, by the first folder, and of none that isn't there", async (t) => {
  const top = await mkdtemp(join(tmpdir(), "understudy-disk-"));
  t.after(() => rm(top, { recursive: true }));
  const [one, two] = [join(top, "one"), join(top, "two")];
  await mkdir(one);
  await mkdir(two);
  const disks = await readDisks([join(top, "none"), one, two, "/proc"]);
  assert.deepEqual(
    disks.map(({ folder }) => folder),
    [one, "/proc"],
  );
  const [own, proc] = disks;
  assert.ok(own !== undefined && own.freeBytes > 0 && own.freeBytes <= own.sizeBytes);
  // It counts neither bytes nor inodes.
  assert.deepEqual(proc, { folder: "/proc", freeBytes: 0, sizeBytes: 0 });
});
