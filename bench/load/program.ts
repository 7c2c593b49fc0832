// Started by edge-cost.ts in the network of an agents' host: agent-shaped load in slices, first one
// way to a puppetserver, then the other. A "run" is a new TLS connection with the agent's
// certificate, a few requests on it one after the other, and its end. Input: a Load as JSON.
// Output: a line of JSON per slice.

import { Agent, request } from "node:https";
import { text } from "node:stream/consumers";
import { monotonicMs } from "../../src/host/clock.ts";
import { messageOf } from "../../src/base/fault.ts";
import { readUsage } from "../processes.ts";
import { Load, type Slice, type Target } from "./plan.ts";

const REQUEST_MS_MAX = 30_000;

const load = Load.parse(JSON.parse(await text(process.stdin)));
for (const { target, ms } of load.slices) {
  const way = load.targets.find(({ name }) => name === target);
  if (way === undefined) throw new Error(`there is no target ${target}`);
  process.stdout.write(`${JSON.stringify(await runSlice(way, ms))}\n`);
}

async function runSlice(target: Target, ms: number): Promise<Slice> {
  const seen = { requests: 0, errors: 0, error: "", latenciesMs: [] as number[] };
  const before = cpuNow();
  const begun = monotonicMs();
  const runs = Array.from({ length: load.connections }, async () => {
    while (monotonicMs() - begun < ms) await runOnce(target, seen, begun + ms);
  });
  await Promise.all(runs);
  const took = monotonicMs() - begun;
  const after = cpuNow();
  const cpuMs = Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]),
  );
  return { target: target.name, ms: took, ...seen, cpuMs };
}

function cpuNow(): Record<string, number> {
  return Object.fromEntries(
    Object.entries(load.processes).map(([name, pids]) => [name, readUsage(pids).cpuMs]),
  );
}

async function runOnce(
  target: Target,
  seen: Omit<Slice, "target" | "ms" | "cpuMs">,
  endMs: number,
): Promise<void> {
  const { address: host, port, serverName: servername, ca } = target;
  const { certificate: cert, key } = load;
  const tls = { host, port, servername, ca, cert, key, maxCachedSessions: 0 };
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ...tls });
  try {
    for (const path of load.paths) {
      const begun = monotonicMs();
      if (begun >= endMs) break;
      await get(agent, target, path);
      seen.latenciesMs.push(monotonicMs() - begun);
      seen.requests += 1;
    }
  } catch (error) {
    seen.errors += 1;
    seen.error ||= messageOf(error);
  } finally {
    agent.destroy();
  }
}

async function get(agent: Agent, target: Target, path: string): Promise<void> {
  const headers = { accept: "application/json", host: target.serverName, ...target.headers };
  const response = Promise.withResolvers<void>();
  const sent = request(
    { agent, host: target.address, port: target.port, path, headers, timeout: REQUEST_MS_MAX },
    (answer) => {
      answer.on("error", response.reject);
      answer.on("end", () => {
        if (answer.statusCode === 200) response.resolve();
        else response.reject(new Error(`${path}: status ${answer.statusCode}`));
      });
      answer.resume();
    },
  );
  sent.on("timeout", () => sent.destroy(new Error(`${path}: no answer`)));
  sent.on("error", response.reject);
  sent.end();
  await response.promise;
}
