// Puppet agents: several on one host, each with its own confdir, ssldir and certname.
// The idea: they are real `puppet agent` runs, judged by what they applied and not by exit code.

import { pause } from "../src/base/retry.ts";
import { monotonicMs, wallMs } from "../src/host/clock.ts";
import { excerpt, judgeRun, type RunVerdict } from "./agent-output.ts";
import type { LabHost } from "./host.ts";
import { DOMAIN, SHARED_NAME } from "./plan.ts";

/** A run that takes longer has hung: agents wait 600 s for an answer, good runs take seconds. */
export const RUN_MS_MAX = 120_000;
const AGENTS_FOLDER = "/srv/agents";
/** Carries the agent's name in the environment of its processes, since puppet changes its title. */
const NAME_VARIABLE = "LAB_AGENT";
/**
 * Before the next run of a loop after one that failed at once, so that a dead server isn't flooded.
 */
const AFTER_FAILURE_MS = 200;

/** What --test means, but that a run without a new catalog is none. */
const AS_SERVICE = [
  "--onetime",
  "--no-daemonize",
  "--no-splay",
  "--verbose",
  "--detailed-exitcodes",
];

export interface AgentOptions {
  /** Settings of puppet.conf's [main] beside or instead of ours. */
  settings?: Record<string, string>;
}

export interface AgentRun extends RunVerdict {
  agent: string;
  /** Wall clock, ms since the epoch: to set beside events. */
  startedAt: number;
  endedAt: number;
  ms: number;
  code: number | null;
  /** The last lines it printed. */
  output: string;
}

export interface RunOptions {
  /** Milliseconds until the run counts as hung and is killed. Default RUN_MS_MAX. */
  withinMs?: number;
  /** As an agent's service makes its runs: it may use the catalog that it has. */
  asService?: boolean;
  /** Further arguments of `puppet agent`. */
  args?: string[];
  /** Kills the run when it aborts. */
  signal?: AbortSignal;
}

export interface LoopOptions extends RunOptions {
  /** Milliseconds between the end of a run and the next. Default 0. */
  restMs?: number;
}

/** Agents that run back to back until stopped. Disposing of it ends the runs that go on. */
export interface AgentLoop extends AsyncDisposable {
  /** Runs that have ended so far. */
  runs: readonly AgentRun[];
  /**
   * Starts no further run, waits for those going on, and returns all. Throws what ended a loop
   * before: Fault `lab.host-down`.
   */
  stop(): Promise<AgentRun[]>;
}

/** The text of an agent's puppet.conf. */
export function renderAgentConf(certname: string, options: AgentOptions = {}): string {
  const own = `${AGENTS_FOLDER}/${certname}`;
  const settings: Record<string, string> = {
    certname,
    confdir: own,
    vardir: `${own}/var`,
    ssldir: `${own}/ssl`,
    rundir: `${own}/run`,
    logdir: `${own}/log`,
    publicdir: `${own}/public`,
    server: SHARED_NAME,
    // Certificates and the CRL from the cluster as well.
    ca_server: SHARED_NAME,
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}`);
  return `[main]\n${lines.join("\n")}\n`;
}

export class Agent {
  readonly host: LabHost;
  readonly certname: string;
  readonly folder: string;

  constructor(host: LabHost, certname: string) {
    this.host = host;
    this.certname = certname;
    this.folder = `${AGENTS_FOLDER}/${certname}`;
  }

  /** Writes puppet.conf. An agent that is there keeps its key and certificate. */
  async configure(options: AgentOptions = {}): Promise<void> {
    await this.host.writeFile(
      `${this.folder}/puppet.conf`,
      renderAgentConf(this.certname, options),
    );
  }

  /** One run, as `puppet agent -t` makes it by default. Never throws for a failed run. */
  async run(options: RunOptions = {}): Promise<AgentRun> {
    const startedAt = wallMs();
    const start = monotonicMs();
    const how = options.asService === true ? AS_SERVICE : ["--test"];
    const args = ["agent", ...how, "--color=false", ...(options.args ?? [])];
    const result = await this.#puppet(args, options);
    const output = `${result.stdout}\n${result.stderr}`;
    const ms = monotonicMs() - start;
    return {
      ...judgeRun(result.code, result.timedOut, output),
      agent: this.certname,
      startedAt,
      endedAt: startedAt + Math.round(ms),
      ms: Math.round(ms),
      code: result.code,
      output: excerpt(output),
    };
  }

  /**
   * `puppet ssl SUBCOMMAND`, for enrolment without a run ("submit_request", "bootstrap", "verify").
   */
  async ssl(subcommand: string, options: RunOptions = {}) {
    const args = ["ssl", subcommand, "--color=false", ...(options.args ?? [])];
    return this.#puppet(args, options);
  }

  async #puppet(args: string[], { withinMs = RUN_MS_MAX, signal }: RunOptions) {
    const argv = ["puppet", ...args, "--confdir", this.folder];
    const env = { [NAME_VARIABLE]: this.certname };
    return this.host.exec(argv, { withinMs, env, ...(signal === undefined ? {} : { signal }) });
  }
}

/** Makes agents on `host`; names without a dot get the lab's domain. */
export async function createAgents(
  host: LabHost,
  names: readonly string[],
  options: AgentOptions = {},
): Promise<Agent[]> {
  const full = names.map((name) => (name.includes(".") ? name : `${name}.${DOMAIN}`));
  const agents = full.map((certname) => new Agent(host, certname));
  await Promise.all(agents.map((agent) => agent.configure(options)));
  return agents;
}

/** Keeps every agent running back to back, each in its own loop. */
export function loopAgents(agents: readonly Agent[], options: LoopOptions = {}): AgentLoop {
  const runs: AgentRun[] = [];
  const stopping = new AbortController();
  const killing = new AbortController();
  const loops = agents.map(async (agent) => {
    while (!stopping.signal.aborted) {
      const run = await agent.run({ ...options, signal: killing.signal });
      // What was killed here is no run to be judged.
      if (killing.signal.aborted) return;
      runs.push(run);
      await pause(Math.max(run.ok ? 0 : AFTER_FAILURE_MS, options.restMs ?? 0), stopping.signal);
    }
  });
  // From the beginning: a loop ends early when its host does, long before anybody asks.
  const ended = Promise.allSettled(loops);
  return {
    runs,
    stop: async () => {
      stopping.abort();
      for (const loop of await ended) if (loop.status === "rejected") throw loop.reason;
      return [...runs].sort((a, b) => a.startedAt - b.startedAt);
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      killing.abort();
      await ended;
    },
  };
}
