// Agents that run back to back while a scenario does its worst: the witnesses of "no failed run".
// The idea: a hazard is over only when every agent has made a whole run after it. A run that the
// edge took with it when it died itself is excused, by the listing of connections right before, and
// no other.

import assert from "node:assert/strict";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { Agent, createAgents, loopAgents } from "../agents.ts";
import type { AgentLoop, AgentOptions, AgentRun, RunOptions } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { AUTOSIGNED } from "./site.ts";

/**
 * Whoever waits so long has not been served. Well above the read timeout below, so that an agent
 * that gives up on its own says why.
 */
export const HUNG_MS = 300_000;
/** What the documentation recommends; Puppet's own default is 10 minutes. */
export const ADVISED_SETTINGS = { http_read_timeout: "2m" };
/** Between two runs of an agent: three puppetservers share the machine's cores with them. */
const REST_MS = 1500;

export class Crew implements AsyncDisposable {
  readonly agents: readonly Agent[];
  readonly loop: AgentLoop;

  constructor(agents: readonly Agent[], loop: AgentLoop) {
    this.agents = agents;
    this.loop = loop;
  }

  /** Runs that have ended since `fromMs` (ms since the epoch). */
  since(fromMs: number): AgentRun[] {
    return this.loop.runs.filter(({ endedAt }) => endedAt > fromMs);
  }

  /** Waits until every agent has made a run that began later than now. Fault `base.deadline`. */
  async allRun(): Promise<void> {
    const fromMs = wallMs();
    const lacking = () =>
      this.agents.filter(
        ({ certname }) =>
          !this.loop.runs.some((run) => run.agent === certname && run.startedAt > fromMs),
      );
    await until("a whole run of every agent", () => lacking().length === 0, {
      withinMs: 2 * HUNG_MS,
      everyMs: 200,
    });
  }

  /**
   * Waits for a whole run of everyone, then asserts that no run since `fromMs` failed but excused
   * ones.
   */
  async assertUnharmed(fromMs: number, isExcused = (_run: AgentRun) => false): Promise<AgentRun[]> {
    await this.allRun();
    const runs = this.since(fromMs);
    const failed = runs.filter((run) => !run.ok && !isExcused(run));
    assert.deepEqual(failed.map(describe), [], "runs failed");
    return runs;
  }

  async stop(): Promise<void> {
    await this.loop.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** What a message says of a run. */
export function describe(run: AgentRun): string {
  const at = new Date(run.startedAt).toISOString();
  return `${run.agent} from ${at} for ${run.ms} ms: ${run.because || "fine"}\n${run.output}`;
}

/** An agent with the settings that the documentation advises. Nothing of it is done yet. */
export async function makeAgent(cluster: Cluster, certname: string): Promise<Agent> {
  const agent = new Agent(cluster.agentHost, certname);
  await agent.configure({ settings: ADVISED_SETTINGS });
  return agent;
}

/**
 * Enrols agents `names` (below the allowlisted domain) with a first run each, which must succeed.
 */
export async function enrol(
  cluster: Cluster,
  names: readonly string[],
  options: AgentOptions = {},
): Promise<Agent[]> {
  const full = names.map((name) => `${name}.${AUTOSIGNED}`);
  const agents = await createAgents(cluster.agentHost, full, options);
  const runs = await Promise.all(agents.map((agent) => agent.run({ withinMs: HUNG_MS })));
  assert.deepEqual(runs.filter(({ ok }) => !ok).map(describe), [], "first runs failed");
  return agents;
}

/** Enrols agents and keeps them running until `stop`. `settings`: what is advised by default. */
export async function startCrew(
  cluster: Cluster,
  names: readonly string[],
  options: Pick<RunOptions, "asService"> & Pick<AgentOptions, "settings"> = {},
): Promise<Crew> {
  const { settings = ADVISED_SETTINGS, ...more } = options;
  const agents = await enrol(cluster, names, { settings });
  return new Crew(agents, loopAgents(agents, { withinMs: HUNG_MS, restMs: REST_MS, ...more }));
}
