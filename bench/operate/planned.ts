// What planned work costs agents: the virtual address moves fifty times, every puppetserver
// restarts in turn, under agents that run back to back, a connection that is kept alive and new
// ones every 10 ms. Counts what fails.

import { Fault } from "../../src/base/fault.ts";
import { wallMs } from "../../src/host/clock.ts";
import { type Agent, type AgentLoop, type AgentRun, loopAgents } from "../../lab/agents.ts";
import { switchOver } from "../../lab/cluster/commands.ts";
import { type Answered, keepAlive } from "../../lab/cluster/revocation.ts";
import { startProber } from "../../lab/prober.ts";
import { until } from "../../src/base/retry.ts";
import { type Figure, figure } from "../figure.ts";
import { filled, type Group, type Measuring, type Seen } from "../group.ts";
import type { Site } from "../site.ts";
import { median, worst } from "../stats.ts";

const AGENTS = 6;
const PORT = 8140;
const PROBE_MS = 10;
/** A connection that takes longer was refused or lost, not slow. */
const CONNECT_MS_MAX = 3000;
const RUNS_MS_MAX = 600_000;
const ROLL_MS_MAX = 1_800_000;
/** Answers on a kept connection that show that it goes on. */
const ANSWERS = 5;

interface Trial {
  /** What was done, and how long it took, seconds. */
  what: string;
  tookS: number;
  /** How the connection that was open before broke; empty: it didn't. */
  broke: string;
  /** How often an answer said that the connection ends with it, as HAProxy's do after a reload. */
  ended: number;
}

/** What was seen around all trials of a group. */
interface Around {
  trials: Trial[];
  runs: number;
  failed: string[];
  connections: number;
  refused: number;
  longestGapMs: number;
}

export function switchovers(): Group {
  const seen: Seen<Around> = {};
  return {
    name: "switchovers",
    about: "fifty planned moves of the address: failed runs, broken and refused connections",
    trials: { full: 50, quick: 3, baseline: 0 },
    measure: async (site, measuring) => {
      seen[site.kind] = await under(site, measuring, "moves", async (around, agents, loop) => {
        for (let number = 1; number <= measuring.trials; number += 1) {
          const trial = await moved(site, agents, number);
          around.trials.push(trial);
          measuring.say(
            `${site.kind}: ${trial.what}: ${(trial.tookS * 1000).toFixed(0)} ms${trial.broke}`,
          );
          await allRun(loop, agents);
        }
      });
    },
    made: () => seen.understudy?.trials.length ?? 0,
    figures: () => {
      const { understudy: ours } = seen;
      const trials = filled(ours?.trials);
      if (ours === undefined || trials === undefined) return [];
      const took = trials.map(({ tookS }) => tookS);
      return [
        figure("planned switchovers", trials.length, "moves"),
        figure("from letting go until the new holder has it, median", median(took), "s"),
        figure("from letting go until the new holder has it, worst", worst(took), "s"),
        ...harmOf("switchovers", ours),
      ];
    },
    raw: () => seen,
  };
}

export function rollingRestart(): Group {
  const seen: Seen<Around> = {};
  return {
    name: "rolling-restart",
    about: "all puppetservers restart in turn: failed runs, broken and refused connections",
    trials: { full: 1, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      seen[site.kind] = await under(site, measuring, "rolls", async (around, agents) => {
        for (let number = 1; number <= measuring.trials; number += 1) {
          const trial = await restarted(site, agents);
          around.trials.push(trial);
          measuring.say(`${site.kind}: ${trial.what}: ${trial.tookS.toFixed(0)} s${trial.broke}`);
        }
      });
    },
    made: () => seen.understudy?.trials.length ?? 0,
    figures: () => {
      const { understudy: ours } = seen;
      const trials = filled(ours?.trials);
      if (ours === undefined || trials === undefined) return [];
      return [
        figure(
          "every puppetserver restarted in turn, median",
          median(trials.map(({ tookS }) => tookS)),
          "s",
        ),
        ...harmOf("rolling restart", ours),
      ];
    },
    raw: () => seen,
  };
}

function harmOf(name: string, { trials, runs, failed, connections, refused }: Around): Figure[] {
  const none = { goal: { atMost: 0 } };
  const broken = trials.filter(({ broke }) => broke !== "").length;
  const ended = trials.reduce((sum, trial) => sum + trial.ended, 0);
  return [
    figure(`${name}: runs of ${AGENTS} agents meanwhile`, runs, "runs"),
    figure(`${name}: failed runs`, failed.length, "runs", none),
    figure(`${name}: kept connections that broke`, broken, "connections", none),
    figure(`${name}: kept connections that an answer ended in good order`, ended, "connections"),
    figure(`${name}: new connections meanwhile`, connections, "connections"),
    figure(`${name}: refused or lost new connections`, refused, "connections", none),
  ];
}

/** Has agents run and connections made all around `work`. */
async function under(
  site: Site,
  { say }: Measuring,
  name: string,
  work: (around: Around, agents: readonly Agent[], loop: AgentLoop) => Promise<void>,
): Promise<Around> {
  await site.untilWhole();
  const names = Array.from({ length: AGENTS }, (_, index) => `${name}${index + 1}`);
  const agents = await site.agents(names);
  const around: Around = {
    trials: [],
    runs: 0,
    failed: [],
    connections: 0,
    refused: 0,
    longestGapMs: 0,
  };
  const place = { host: site.agentHost.name, address: site.vip, port: PORT };
  await using prober = await startProber(site.lab, {
    ...place,
    everyMs: PROBE_MS,
    limitMs: CONNECT_MS_MAX,
  });
  await using loop = loopAgents(agents);
  await work(around, agents, loop);
  await allRun(loop, agents);
  const runs = await loop.stop();
  const probed = await prober.stop();
  say(`${site.kind}: ${runs.length} runs, ${probed.attempts} new connections`);
  return {
    ...around,
    runs: runs.length,
    failed: runs.filter(({ ok }) => !ok).map(describe),
    connections: probed.attempts,
    refused: probed.failed,
    longestGapMs: probed.longestGapMs,
  };
}

function describe({ agent, startedAt, code, output }: AgentRun): string {
  return `${agent} at ${new Date(startedAt).toISOString()}, exit code ${code}: ${output}`;
}

/** Waits until every agent has begun and ended a run after now. */
async function allRun(loop: AgentLoop, agents: readonly Agent[]): Promise<void> {
  const fromMs = wallMs();
  const lacks = () =>
    agents.some(
      ({ certname }) =>
        !loop.runs.some(({ agent, startedAt }) => agent === certname && startedAt > fromMs),
    );
  await until("a whole run of every agent", () => !lacks(), { withinMs: RUNS_MS_MAX });
}

/** What becomes of a connection of an agent that is open before `work` and used until after it. */
async function watchKept(
  site: Site,
  agents: readonly Agent[],
  work: () => Promise<void>,
): Promise<Pick<Trial, "broke" | "ended">> {
  const [agent] = agents;
  if (agent === undefined) throw new Fault("bench.no-agent", "there is no agent to be connected");
  const connection = await keepAlive(site, site.vip, agent);
  try {
    await work();
    await connection.since(wallMs(), ANSWERS);
    const answers = connection.answers();
    const odd = answers.findIndex(({ status, port }, index) => {
      const before = answers[index - 1];
      const isSame = before === undefined || before.isLast || before.port === port;
      return status !== 200 || !isSame;
    });
    const some = answers.slice(Math.max(0, odd - 1), odd + 2).map(describeAnswer);
    const broke = odd < 0 ? "" : `, a connection broke: ${some.join("; ")}`;
    return { broke, ended: answers.filter(({ isLast }) => isLast).length };
  } finally {
    await connection.end();
  }
}

function describeAnswer({ sentMs, status, port }: Answered): string {
  return `sent ${new Date(sentMs).toISOString()}: ${status} ${port}`;
}

/** Moves the address on to another server, as an administrator does. */
async function moved(site: Site, agents: readonly Agent[], number: number): Promise<Trial> {
  const holder = await site.holder();
  if (holder === undefined) throw new Fault("bench.no-address", "nobody holds the address");
  const others = site.servers.filter((server) => server !== holder);
  const to = others[number % others.length] ?? holder;
  // Typed on each of the three: on the former, the new and the third server.
  const via = site.servers[number % site.servers.length] ?? holder;
  let tookMs = 0;
  const connection = await watchKept(site, agents, async () => {
    ({ tookMs } = await switchOver(via, to));
  });
  const what = `move ${number}, ${holder.name} to ${to.name}`;
  return { what, tookS: tookMs / 1000, ...connection };
}

async function restarted(site: Site, agents: readonly Agent[]): Promise<Trial> {
  const [first] = site.servers;
  const fromMs = wallMs();
  const connection = await watchKept(site, agents, async () => {
    await first?.run(["understudy", "restart", "puppetserver", "--rolling"], {
      withinMs: ROLL_MS_MAX,
    });
  });
  return { what: "rolling restart", tookS: (wallMs() - fromMs) / 1000, ...connection };
}
