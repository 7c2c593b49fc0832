// The file of revoked certificates, which an edge that starts adds to beside the daemon.

import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
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

void test("addRevokedToFile makes no other certificate's key of one that was torn, and takes it for none", async (t) => {
  const folder = await folderFor(t);
  const [first = "", other = "", whole = ""] = revocationKeys("CN=ca", ["1", "12", "1234"]);
  await addRevokedToFile(folder, [first]);
  const { revoked } = edgePaths({ stateDir: folder, runDir: "" });
  assert.ok(whole.startsWith(other));
  await appendFile(revoked, other);
  assert.equal(await addRevokedToFile(folder, [first, whole]), 1);
  const keys = async () => [...(await readRevoked(revoked))];
  assert.deepEqual(await keys(), [first, whole]);
  // In the midst of what another process writes, which is whole a moment later.
  await appendFile(revoked, other);
  assert.equal(await addRevokedToFile(folder, [other]), 1);
  assert.deepEqual(await keys(), [first, whole, other]);
});

void test("addRevokedToFile leaves no half key where the disk is full in the midst of one", async (t) => {
  const folder = await folderFor(t);
  const keys = keysOf(0x1000, 400);
  const program = `
    import { addRevokedToFile } from ${JSON.stringify(MODULE)};
    const added = addRevokedToFile(${JSON.stringify(folder)}, ${JSON.stringify(keys)});
    process.stdout.write(await added.then(() => "all", (error) => error.message));`;
  const limited = `ulimit -f 4; exec "$0" --input-type=module -e "$1"`;
  const said = await run(["bash", "-c", limited, process.execPath, program]);
  assert.match(said, /^the disk took 4096 of /);
  const { revoked } = edgePaths({ stateDir: folder, runDir: "" });
  const text = await readFile(revoked, "utf8");
  assert.ok(text.endsWith("\n") && text.length > 0, JSON.stringify(text.slice(-40)));
  assert.ok([...(await readRevoked(revoked))].every((key) => keys.includes(key)));
});
