import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { exists } from "./files.ts";
import { collect, tryRun } from "./process.ts";

test("tryRun returns when the program has ended, whoever of its children holds its pipes", async () => {
  const began = ["sh", "-c", "sleep 60 & echo $!; echo said >&2"];
  const { code, stdout, stderr, timedOut } = await tryRun(began, { withinMs: 30_000 });
  process.kill(Number(stdout.trim()));
  assert.deepEqual([code, stderr, timedOut], [0, "said\n", false]);
});

test("tryRun's deadline ends a program whose child goes on", async () => {
  const hanging = ["sh", "-c", "sleep 60 & echo $!; wait"];
  const { ok, stdout, timedOut } = await tryRun(hanging, { withinMs: 300 });
  process.kill(Number(stdout.trim()));
  assert.deepEqual([ok, timedOut], [false, true]);
});

test("tryRun starts nothing that lasts when its signal has aborted already", async () => {
  const { timedOut } = await tryRun(["sleep", "60"], { signal: AbortSignal.abort() });
  assert.equal(timedOut, true);
});

test("tryRun keeps all that a program says at its end", async () => {
  const { stdout } = await tryRun(["sh", "-c", "head -c 3000000 /dev/zero"]);
  assert.equal(stdout.length, 3_000_000);
});

test("tryRun's program isn't ended by Ctrl-C, of which the terminal tells all that run in it", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-run-"));
  t.after(() => rm(folder, { recursive: true }));
  const module = join(import.meta.dirname, "process.ts");
  const begun = join(folder, "begun");
  const waits = `touch ${begun}; while [ ! -e ${folder}/go ]; do sleep 0.02; done`;
  const program = `
    import { tryRun } from ${JSON.stringify(module)};
    // As whoever ends a step in order.
    process.on("SIGINT", () => undefined);
    const { ok } = await tryRun(["sh", "-c", ${JSON.stringify(waits)}]);
    process.stdout.write(String(ok));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const said = collect(child.stdout);
  const ended = once(child, "close");
  await until("it runs", async () => exists(begun), { withinMs: 20_000, everyMs: 10 });
  process.kill(-(child.pid ?? 0), "SIGINT");
  await writeFile(join(folder, "go"), "");
  await ended;
  assert.equal(said(), "true");
});
