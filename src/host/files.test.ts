import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolder } from "./files.ts";

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

test("makeFolder gives what it makes its mode, whatever the umask, and leaves what is there", async () => {
  const top = await mkdtemp(join(tmpdir(), "understudy-folder-"));
  // As root has it on hardened servers: puppet and the file server must read a CA directory there.
  const before = process.umask(0o077);
  try {
    const folder = join(top, "ca", "signed");
    await makeFolder(folder);
    assert.equal(await modeOf(folder), 0o755);
    await makeFolder(folder, { mode: 0o700 });
    assert.equal(await modeOf(folder), 0o755);
    await makeFolder(join(top, "keys"), { mode: 0o750 });
    assert.equal(await modeOf(join(top, "keys")), 0o750);
  } finally {
    process.umask(before);
    await rm(top, { recursive: true });
  }
});
