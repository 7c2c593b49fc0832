// The health endpoints as a real HAProxy asks them, with the lines of docs/api.md.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { freePorts } from "../host/testing/ports.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { createHealthApp } from "./health-app.ts";
import { listenPlainly } from "./serve.ts";

const DOCS = join(import.meta.dirname, "..", "..", "docs", "api.md");
const SOON = { withinMs: 20_000, everyMs: 50 };

/** The backend of docs/api.md that asks for health, for `port` of this machine. */
async function readBackend(port: number): Promise<string> {
  const docs = await readFile(DOCS, "utf8");
  const lines = /^backend understudy_api\n(?: {4}.*\n)+/m.exec(docs)?.[0] ?? "";
  return lines
    .replaceAll(/10\.0\.0\.\d+/g, "127.0.0.1")
    .replaceAll("port 9144", `port ${port}`)
    .replaceAll("inter 2s", "inter 100ms");
}

async function askStats(path: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(path, () => socket.end("show stat\n"));
    socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(text));
  });
}

test("HAProxy takes a server out by /health/live, and in again, as docs/api.md says", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-health-"));
  const [port = 0] = await freePorts(1);
  let ok = true;
  const listener = await listenPlainly(
    createHealthApp(() => ({ ok, because: "as it is" })),
    { address: "127.0.0.1", port },
  );
  const stats = join(folder, "stats.sock");
  const timeouts = "timeout connect 5s\n timeout client 5s\n timeout server 5s";
  const config = join(folder, "haproxy.cfg");
  await writeFile(
    config,
    `global\n stats socket ${stats}\ndefaults\n ${timeouts}\n${await readBackend(port)}`,
  );
  const haproxy = spawn(toolPath("haproxy"), ["-db", "-q", "-f", config], { env: toolEnv() });
  try {
    const states = async () => {
      const text = await askStats(stats);
      return text
        .split("\n")
        .filter((line) => /^understudy_api,s\d,/.test(line))
        .map((line) => line.split(",")[17]?.split(" ")[0]);
    };
    const both = (state: string) => async () => {
      return (await states()).join(" ") === `${state} ${state}`;
    };
    const checked = async () => (await askStats(stats)).includes(",L7OK,200,");
    await until("checks that pass", async () => (await both("UP")()) && checked(), SOON);
    ok = false;
    await until("the servers to be out", both("DOWN"), SOON);
    ok = true;
    await until("the servers to be back", both("UP"), SOON);
    assert.ok((await askStats(stats)).includes(",L7OK,200,"));
  } finally {
    haproxy.kill("SIGKILL");
    await listener.close();
    await rm(folder, { recursive: true });
  }
});
