// What scenarios on a whole cluster share: one cluster per file, a crew of agents that runs all the
// while, and hazards that leave the cluster as they found it.
//
//   const { hazard } = scenario({ crew: ["crew1", "crew2"] });
//   hazard("a puppetserver dies …", async ({ cluster, crew, t }) => { … });
//
// UNDERSTUDY_LAB_KEEP=1 takes the cluster that is up and leaves it up: for the next file of `npm
// test`, and for whoever writes hazards. UNDERSTUDY_LAB_OWNER=PID makes it that process's own, so
// that others leave it alone for as long as that lives.

import { after, before, test, type TestContext } from "node:test";
import { wallMs } from "../../src/host/clock.ts";
import type { AgentRun } from "../agents.ts";
import { Cluster, openCluster } from "../cluster.ts";
import { attachLab } from "../lab.ts";
import { readLab } from "../state.ts";
import { explainFailure } from "./journals.ts";
import { type Crew, startCrew } from "./crew.ts";
import { writeSite } from "./site.ts";

const KEEP = process.env["UNDERSTUDY_LAB_KEEP"] === "1";
/** The process that the kept cluster belongs to, if it ends with one. */
const OWNER = Number(process.env["UNDERSTUDY_LAB_OWNER"] ?? 0) || undefined;

/** What a hazard is given. */
export interface Scene {
  cluster: Cluster;
  crew: Crew;
  t: TestContext;
  /** Prints a figure in the test's report. */
  report: (text: string) => void;
  /** Says which failed runs of the crew nothing could have saved. */
  excuse: (isExcused: (run: AgentRun) => boolean) => void;
  /** Put on the list of what is undone at the end, last first, also when the hazard fails. */
  undo: (step: () => Promise<unknown>) => void;
}

export interface Scenario {
  /** A test that ends with a whole cluster in which no run of the crew has failed. */
  hazard: (title: string, body: (scene: Scene) => Promise<void>) => void;
}

export interface ScenarioOptions {
  /** Names of the agents that run all the while, below the allowlisted domain. */
  crew: readonly string[];
  /** Of theirs, what puppet.conf sets; what is advised by default. */
  settings?: Record<string, string>;
  /** What else is needed before the first hazard. */
  prepare?: (cluster: Cluster) => Promise<void>;
}

/** Registers the cluster's set-up and end; returns what registers hazards on it. */
export function scenario(options: ScenarioOptions): Scenario {
  let cluster: Cluster | undefined;
  let crew: Crew | undefined;
  before(async () => {
    cluster = await open();
    await options.prepare?.(cluster);
    const { settings } = options;
    crew = await startCrew(cluster, options.crew, settings === undefined ? {} : { settings });
  });
  after(async () => {
    try {
      await crew?.stop();
    } finally {
      if (!KEEP) await cluster?.down();
    }
  });
  return {
    hazard(title, body) {
      test(title, async (t) => {
        if (cluster === undefined || crew === undefined) throw new Error("there is no cluster");
        try {
          await play({ cluster, crew, t }, body);
        } catch (error) {
          throw await explainFailure(error, cluster.servers);
        }
      });
    },
  };
}

async function play(
  { cluster, crew, t }: Pick<Scene, "cluster" | "crew" | "t">,
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await cluster.untilWhole();
  const fromMs = wallMs();
  const steps: (() => Promise<unknown>)[] = [];
  const excuses: ((run: AgentRun) => boolean)[] = [];
  const report = (text: string) => t.diagnostic(text);
  const undo = (step: () => Promise<unknown>) => void steps.push(step);
  const excuse = (isExcused: (run: AgentRun) => boolean) => void excuses.push(isExcused);
  const failures: unknown[] = [];
  const attempt = async (act: () => Promise<unknown>) => act().catch((e) => failures.push(e));
  await attempt(async () => body({ cluster, crew, t, report, undo, excuse }));
  for (const step of steps.reverse()) await attempt(step);
  // The first one: what undoing stumbled over may come of it.
  if (failures.length > 0) throw failures[0];
  await cluster.untilWhole();
  const isExcused = (run: AgentRun) => excuses.some((excused) => excused(run));
  const runs = await crew.assertUnharmed(fromMs, isExcused);
  const longest = seconds(Math.max(...runs.map(({ ms }) => ms)));
  const excused = runs.filter(({ ok }) => !ok).length;
  const lost = excused === 0 ? "" : `, ${excused} lost with the edge they were connected to`;
  report(`${runs.length} runs of the crew meanwhile${lost}; the longest took ${longest}`);
}

/**
 * A cluster of three servers and an agents' host: a kept one if that is wanted and there is one.
 */
async function open(): Promise<Cluster> {
  const kept = KEEP && (await isOurs()) ? await attachLab() : undefined;
  if (kept === undefined) {
    const cluster = await openCluster({ servers: 3, agentHosts: 1 });
    if (KEEP) await cluster.lab.leaveUp(OWNER);
    return cluster;
  }
  const cluster = new Cluster(kept, ["s1", "s2", "s3"], ["a1"], true);
  await Promise.all(cluster.servers.map(writeSite));
  return cluster;
}

/** Whether the lab that is up was left for us, and is nobody else's in use. */
async function isOurs(): Promise<boolean> {
  const record = await readLab();
  return record !== undefined && (record.kept || record.owner.pid === OWNER);
}

/** Milliseconds as text for a report. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Time that is itself the scenario: how long a hazard lasts. */
export async function lasting(ms: number): Promise<void> {
  await new Promise((resolve) => void setTimeout(resolve, ms));
}
