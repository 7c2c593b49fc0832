import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../base/retry.ts";
import { exists } from "../host/files.ts";
import { tryRun } from "../host/process.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { renderEdgeWatch } from "./edge-watch.ts";

let folder = "";
let edge: ChildProcess;
const path = (name: string) => join(folder, name);

async function startEdge(): Promise<void> {
  const config = [
    `global\n stats socket ${path("stats.sock")} level admin`,
    "defaults\n mode http\n timeout client 5s\n timeout connect 5s\n timeout server 5s",
    `frontend f\n bind unix@${path("f.sock")}\n http-request return status 200`,
  ];
  await writeFile(path("haproxy.cfg"), `${config.join("\n")}\n`);
  await rm(path("stats.sock"), { force: true });
  edge = spawn(toolPath("haproxy"), ["-db", "-f", path("haproxy.cfg")], {
    env: toolEnv(),
    stdio: "ignore",
  });
  await until("HAProxy's socket", async () => exists(path("stats.sock")), { withinMs: 10_000 });
}

async function watch(): Promise<number | null> {
  return (await tryRun([path("edge-watch"), path("stats.sock")], { withinMs: 10_000 })).code;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ust-"));
  await writeFile(path("edge-watch"), renderEdgeWatch(), { mode: 0o755 });
  await startEdge();
});
after(async () => {
  edge.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

test("the edge watch is content with an edge that answers", async () => {
  assert.equal(await watch(), 0);
});

test("the edge watch notices an edge that is stopped, and content again when it goes on", async () => {
  edge.kill("SIGSTOP");
  assert.equal(await watch(), 1);
  edge.kill("SIGCONT");
  assert.equal(await watch(), 0);
});

test("the edge watch rides over an edge that is replaced while it looks", async () => {
  const watching = watch();
  const ended = once(edge, "exit");
  const next = spawn(
    toolPath("haproxy"),
    ["-db", "-f", path("haproxy.cfg"), "-sf", String(edge.pid)],
    { env: toolEnv(), stdio: "ignore" },
  );
  await ended;
  edge = next;
  assert.equal(await watching, 0);
  assert.equal(await watch(), 0);
});

test("the edge watch notices an edge that dies while it looks, and one that isn't there", async () => {
  const watching = watch();
  edge.kill("SIGKILL");
  assert.equal(await watching, 1);
  assert.equal(await watch(), 1);
  await startEdge();
  assert.equal(await watch(), 0);
});
