// The file of revoked certificates, which an edge that starts adds to beside the daemon.

import assert from "node:assert/strict";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { run } from "../host/process.ts";
import { edgePaths } from "./config.ts";
import { revocationKeys } from "./identity.ts";
import { addRevokedToFile, readRevoked } from "./revocations.ts";

const EACH = 40;
const MODULE = new URL("./revocations.ts", import.meta.url).href;

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-revoked-"));
  t.after(async () => rm(folder, { recursive: true }));
  return folder;
}

function keysOf(first: number, count: number): string[] {
  const serials = Array.from({ length: count }, (_, at) => (first + at).toString(16));
  return revocationKeys("CN=ca", serials);
}

void test("addRevokedToFile loses no key though two processes add at the same moment", async (t) => {
  const folder = await folderFor(t);
  // With so many a file that is written anew takes its time.
  const before = keysOf(1_000_000, 20_000);
  assert.equal(await addRevokedToFile(folder, before), before.length);
  const sets = [keysOf(1, EACH), keysOf(1000, EACH)];
  const add = async (keys: readonly string[]) => {
    const program = `
      import { addRevokedToFile } from ${JSON.stringify(MODULE)};
      for (const key of ${JSON.stringify(keys)}) {
        await addRevokedToFile(${JSON.stringify(folder)}, [key]);
      }`;
    await run([process.execPath, "--input-type=module", "-e", program], { withinMs: 60_000 });
  };
  await Promise.all(sets.map(add));
  const { revoked } = edgePaths({ stateDir: folder, runDir: "" });
  assert.deepEqual(await readRevoked(revoked), new Set([...before, ...sets.flat()]));
});

void test("addRevokedToFile begins a line of its own after one that was torn", async (t) => {
  const folder = await folderFor(t);
  const [first = "", second = ""] = keysOf(1, 2);
  await addRevokedToFile(folder, [first]);
  const { revoked } = edgePaths({ stateDir: folder, runDir: "" });
  await appendFile(revoked, "CN=c");
  assert.equal(await addRevokedToFile(folder, [first, second]), 1);
  assert.deepEqual(await readRevoked(revoked), new Set([first, "CN=c", second]));
});
