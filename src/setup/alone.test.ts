import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { beAlone } from "./alone.ts";

const SOON = { withinMs: 20_000, everyMs: 20 };

async function folderFor(t: { after(fn: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-alone-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const isTaken = async (path: string) =>
  beAlone(path).then(
    (alone) => {
      alone.release();
      return false;
    },
    (error: unknown) => isFault(error, "setup.running"),
  );

test("beAlone refuses a second command while the first is at it, and no longer", async (t) => {
  const path = join(await folderFor(t), "setup-lock");
  const first = await beAlone(path);
  await assert.rejects(beAlone(path), (error) => isFault(error, "setup.running"));
  assert.equal(await isTaken(join(path, "../other.lock")), false);
  first.release();
  await until("it is free", async () => !(await isTaken(path)), SOON);
});

for (const end of ["SIGKILL", "by itself"] as const) {
  test(`beAlone holds nobody up whose command has ended (${end}), Ctrl-C or not`, async (t) => {
    const path = join(await folderFor(t), "setup-lock");
    const program = `
      import { beAlone } from ${JSON.stringify(join(import.meta.dirname, "alone.ts"))};
      await beAlone(${JSON.stringify(path)});
      process.on("SIGINT", () => process.stdout.write("interrupted"));
      process.stdout.write("alone");
      // It keeps the process from its end no longer than this does.
      process.stdin.resume();`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(async () => void child.kill("SIGKILL"));
    await once(child.stdout, "data");
    process.kill(-(child.pid ?? 0), "SIGINT");
    await once(child.stdout, "data");
    assert.equal(await isTaken(path), true);
    const ended = once(child, "exit");
    if (end === "SIGKILL") child.kill(end);
    else child.stdin.end();
    await ended;
    await until("it is free", async () => !(await isTaken(path)), SOON);
  });
}
