// What the edge costs: agent-shaped requests through it against straight at the same puppetserver,
// whose listener is opened to agents for that (load/listener.ts). Only that one puppetserver runs.
// The load's own processor time comes out of the same cores on both ways, as it does in any lab of
// one machine.

import { Fault } from "../../src/base/fault.ts";
import { pause, until } from "../../src/base/retry.ts";
import type { Agent } from "../../lab/agents.ts";
import type { LabHost } from "../../lab/host.ts";
import { SHARED_NAME } from "../../lab/plan.ts";
import { type Figure, figure } from "../figure.ts";
import type { Group, Measuring } from "../group.ts";
import { closeListener, openListener } from "../load/listener.ts";
import { judgePairs, planSlices, Slice, type Load, type PairedJudgement } from "../load/plan.ts";
import { unitProcesses } from "../processes.ts";
import type { Site } from "../site.ts";
import { agentPaths, identityHeaders } from "../load/requests.ts";

const PROGRAM = new URL("../load/program.ts", import.meta.url).pathname;
const SLICE_MS = 5000;
const WARM_PAIRS = 6;
const BUSY_CONNECTIONS = 4;
/** One at a time, so that latency is no queue's. */
const CALM_CONNECTIONS = 1;
const CALM_SHARE = 0.3;
const RESTART_MS_MAX = 300_000;
const SERVED_MS_MAX = 120_000;
/** An edge gives a server that has come up its full share after so long. */
const SLOW_START_MS = 10_000;

type LoadWithoutSlices = Omit<Load, "slices" | "connections">;

export function edgeCost(): Group {
  let busy: Slice[] = [];
  let calm: Slice[] = [];
  return {
    name: "edge-cost",
    about: "agent-shaped requests through the edge against straight at one puppetserver",
    trials: { full: 20, quick: 2, baseline: 0 },
    measure: async (site, measuring) => {
      const [agent] = await site.agents(["load"]);
      const [server, ...others] = site.servers;
      if (agent === undefined || server === undefined) return;
      try {
        await Promise.all(others.map((other) => other.run(["systemctl", "stop", "puppetserver"])));
        await openListener(server);
        await untilServed(server, agent);
        const load = await prepare(server, agent);
        ({ busy, calm } = await measurePairs(site, load, measuring));
      } finally {
        await allDone([closeListener(server), ...others.map(startPuppetserver)]);
      }
      await site.untilWhole();
    },
    made: () => busy.length / 2,
    figures: () => {
      if (busy.length === 0) return [];
      const judgedBusy = judgePairs(busy, "edge", "straight");
      return toFigures(judgedBusy, judgePairs(calm, "edge", "straight"));
    },
    raw: () =>
      [...busy, ...calm].map(({ latenciesMs, ...slice }) => ({
        ...slice,
        latencies: latenciesMs.length,
      })),
  };
}

/** Waits until the edge passes on to the opened listener. */
async function untilServed(server: LabHost, agent: Agent): Promise<void> {
  const { certname, folder, host } = agent;
  const tls = [
    "--cacert",
    `${folder}/ssl/certs/ca.pem`,
    "--cert",
    `${folder}/ssl/certs/${certname}.pem`,
  ];
  const key = ["--key", `${folder}/ssl/private_keys/${certname}.pem`];
  const there = ["--resolve", `${SHARED_NAME}:8140:${server.address}`];
  const url = `https://${SHARED_NAME}:8140${agentPaths(certname)[0]}`;
  const curl = [
    "curl",
    "-sf",
    "-o",
    "/dev/null",
    "--max-time",
    "20",
    ...tls,
    ...key,
    ...there,
    url,
  ];
  await until("an answer through the edge", async () => (await host.exec(curl)).ok, {
    withinMs: SERVED_MS_MAX,
    everyMs: 500,
  });
  await pause(SLOW_START_MS);
}

/** Waits for all, whichever of them fails, then throws the first failure. */
async function allDone(work: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

async function startPuppetserver(server: LabHost): Promise<void> {
  await server.run(["systemctl", "start", "puppetserver"], { withinMs: RESTART_MS_MAX });
}

async function prepare(server: LabHost, agent: Agent): Promise<LoadWithoutSlices> {
  const { certname, folder, host } = agent;
  const certificate = await host.readFile(`${folder}/ssl/certs/${certname}.pem`);
  return {
    certificate,
    key: await host.readFile(`${folder}/ssl/private_keys/${certname}.pem`),
    paths: agentPaths(certname),
    targets: [
      {
        name: "edge",
        address: server.address,
        port: 8140,
        serverName: SHARED_NAME,
        ca: await host.readFile(`${folder}/ssl/certs/ca.pem`),
        headers: {},
      },
      {
        name: "straight",
        address: server.address,
        port: 8141,
        serverName: server.fqdn,
        ca: await server.readFile("/var/lib/understudy/pki/listener/ca.crt"),
        headers: identityHeaders(certname, certificate),
      },
    ],
    processes: {
      haproxy: await unitProcesses(server, "understudy-edge.service"),
      java: await unitProcesses(server, "puppetserver.service"),
    },
  };
}

async function measurePairs(site: Site, load: LoadWithoutSlices, { trials, say }: Measuring) {
  const run = async (connections: number, pairs: number) => {
    const slices = planSlices(["edge", "straight"], pairs, SLICE_MS);
    return runLoad(site, { ...load, connections, slices });
  };
  say(`edge-cost: warming up for ${(WARM_PAIRS * 2 * SLICE_MS) / 1000} s`);
  await run(BUSY_CONNECTIONS, WARM_PAIRS);
  say(`edge-cost: ${trials} pairs of ${SLICE_MS / 1000} s with ${BUSY_CONNECTIONS} connections`);
  const busy = await run(BUSY_CONNECTIONS, trials);
  const calmPairs = Math.max(2, Math.ceil(trials * CALM_SHARE));
  say(`edge-cost: ${calmPairs} pairs with one connection`);
  const calm = await run(CALM_CONNECTIONS, calmPairs);
  return { busy, calm };
}

async function runLoad(site: Site, load: Load): Promise<Slice[]> {
  const total = load.slices.reduce((sum, { ms }) => sum + ms, 0);
  const result = await site.lab.fromNetwork([process.execPath, PROGRAM], {
    host: site.agentHost.name,
    input: JSON.stringify(load),
    withinMs: total * 2 + 60_000,
  });
  if (!result.ok) throw new Fault("bench.load-failed", result.stderr.trim().slice(-800));
  const slices = result.stdout
    .trim()
    .split("\n")
    .map((line) => Slice.parse(JSON.parse(line)));
  const failed = slices.find(({ errors }) => errors > 0);
  if (failed === undefined) return slices;
  const { target, errors, error } = failed;
  throw new Fault(
    "bench.load-failed",
    `${errors} requests failed on the way "${target}": ${error}`,
  );
}

function toFigures(busy: PairedJudgement, calm: PairedJudgement): Figure[] {
  const { interval, ratio, rate, cpuPerRequestMs } = busy;
  const cpu = (way: string, process: string) => cpuPerRequestMs[way]?.[process] ?? 0;
  const pairs = `${busy.pairs} pairs`;
  const figures = [
    figure(`throughput through the edge / straight, median of ${pairs}`, ratio, "", {
      goal: { atLeast: 0.95 },
      judged: interval?.high ?? ratio,
    }),
  ];
  if (interval !== undefined) {
    figures.push(figure("its 95 % interval, low end", interval.low, ""));
    figures.push(figure("its 95 % interval, high end (held against the goal)", interval.high, ""));
  }
  figures.push(
    figure("requests through the edge (baseline: straight)", rate["edge"] ?? 0, "per s", {
      baseline: rate["straight"] ?? 0,
    }),
    figure("latency that the edge adds at p50, one connection", calm.addedP50Ms, "ms"),
    figure("HAProxy's processor time per request", cpu("edge", "haproxy"), "ms"),
    figure(
      "puppetserver's processor time per request (baseline: straight)",
      cpu("edge", "java"),
      "ms",
      {
        baseline: cpu("straight", "java"),
      },
    ),
  );
  return figures;
}
