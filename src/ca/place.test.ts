import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isSameFolder } from "./place.ts";

test("isSameFolder sees through the link that Puppet's old place is, also before there is a folder", async () => {
  const top = await mkdtemp(join(tmpdir(), "understudy-place-"));
  const [ca, old] = [join(top, "puppetserver", "ca"), join(top, "ssl-ca")];
  try {
    assert.ok(await isSameFolder(ca, ca));
    assert.ok(!(await isSameFolder(ca, join(top, "elsewhere"))));
    await mkdir(ca, { recursive: true });
    await symlink(ca, old);
    assert.ok(await isSameFolder(old, ca));
    assert.ok(!(await isSameFolder(old, top)));
  } finally {
    await rm(top, { recursive: true });
  }
});
