// Compiles as hazards need them: long enough to be hit, counted where they begin, and on the server
// that is meant. And what puppetservers say of themselves.

import assert from "node:assert/strict";
import { until } from "../../src/base/retry.ts";
import type { Agent, AgentRun } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import { describe, HUNG_MS } from "./crew.ts";
import type { Scene } from "./scenario.ts";
import { compilesOn, countStarts, setMood } from "./site.ts";

export const PUPPETSERVER = "puppetserver.service";
export const COMPILE_MS_MAX = 180_000;
/**
 * A request that a JVM holds for so long without a JRuby, none being free, waits in there; less is
 * on its way to one.
 */
const WAITS_MS = 500;

/** Makes the compiles of `agents` take `seconds` until the hazard is over. */
export async function slowCompiles(
  { cluster, undo }: Scene,
  agents: readonly Agent[],
  seconds: number,
): Promise<void> {
  for (const { certname } of agents) {
    undo(async () => cluster.mood(certname, { is: "plain" }));
    await cluster.mood(certname, { is: "slow", seconds });
  }
}

/** How many compiles for `agent` have ever begun, on all servers. */
export async function starts(cluster: Cluster, agent: Agent): Promise<number> {
  let sum = 0;
  for (const server of cluster.servers) sum += await countStarts(server, agent.certname);
  return sum;
}

/** Waits until a puppetserver compiles for `agent`, and says which server's. */
export async function whereCompiling(cluster: Cluster, agent: Agent): Promise<LabHost> {
  const find = () => cluster.compiling([agent.certname]);
  const options = { withinMs: COMPILE_MS_MAX, everyMs: 100 };
  return (await until(`a compile for ${agent.certname}`, find, options)).server;
}

/** A run of `agent` whose catalog is being compiled on a server that doesn't hold the address. */
export async function compileElsewhere(scene: Scene, agent: Agent, seconds: number) {
  const { cluster, undo } = scene;
  const holder = await cluster.holder();
  const others = cluster.servers.filter((server) => server !== holder);
  undo(async () => setMood(cluster.servers, agent.certname, { is: "plain" }));
  // The holder's own puppetserver compiles at once; then the agent is run again.
  await setMood(others, agent.certname, { is: "slow", seconds });
  const tryOnce = async () => {
    const startsBefore = await starts(cluster, agent);
    const running = agent.run({ withinMs: HUNG_MS });
    const isOver = watchEnd(running);
    while (!isOver()) {
      for (const server of others) {
        const compiles = await compilesOn(server);
        if (compiles.some(({ certname }) => certname === agent.certname)) {
          return { running, server, startsBefore };
        }
      }
    }
    return undefined;
  };
  return until("a compile on another server than the holder", tryOnce, {
    withinMs: COMPILE_MS_MAX,
  });
}

/** Tells whether `work` has come to its end, well or not. */
export function watchEnd(work: Promise<unknown>): () => boolean {
  let over = false;
  const end = () => void (over = true);
  work.then(end, end);
  return () => over;
}

export function assertFine(run: AgentRun): void {
  assert.ok(run.ok, describe(run));
}

/** What tells one life of each server's puppetserver from the next. */
export async function jvms(cluster: Cluster): Promise<Map<string, string>> {
  const show = `systemctl show -P ExecMainStartTimestampMonotonic ${PUPPETSERVER}`;
  const found = await Promise.all(
    cluster.servers.map(async (server) => [server.name, await server.run(show)] as const),
  );
  return new Map(found);
}

/** SIGKILLs all puppetservers at the same time, and keeps them down. */
export async function downPuppetservers(cluster: Cluster): Promise<void> {
  await Promise.all(
    cluster.servers.map(async (server) => {
      await server.run(`systemctl mask --runtime ${PUPPETSERVER}`);
      await server.signal(PUPPETSERVER, "SIGKILL", "all");
      await server.run(`systemctl stop ${PUPPETSERVER}`);
    }),
  );
}

/** Takes back downPuppetservers; returns before they are up. */
export async function startPuppetservers(cluster: Cluster): Promise<void> {
  const start = `systemctl unmask --runtime ${PUPPETSERVER}; systemctl start --no-block ${PUPPETSERVER}`;
  await Promise.all(cluster.servers.map(async (server) => server.run(start)));
}

/** Requests that wait for a JRuby inside the puppetserver of `server`, as its own metrics tell. */
export async function waitingInside(server: LabHost): Promise<string[]> {
  const url = `https://${server.fqdn}:8141/status/v1/services/jruby-metrics?level=debug`;
  const pki = "/var/lib/understudy/pki/edge";
  const text = await server.run(
    `curl -sf --max-time 20 --cacert ${pki}/ca.crt --cert ${pki}/edge.pem '${url}'`,
  );
  const waits = /"requested-instances":\[(.*?)\]/.exec(text)?.[1];
  const free = /"num-free-jrubies":(\d+)/.exec(text)?.[1];
  assert.ok(waits !== undefined && free !== undefined, `other metrics: ${text.slice(0, 500)}`);
  if (Number(free) > 0) return [];
  return [...waits.matchAll(/"duration-millis":(\d+)/g)]
    .filter(([, ms]) => Number(ms) > WAITS_MS)
    .map(([, ms]) => `${server.name}: ${ms} ms`);
}
