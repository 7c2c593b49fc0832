// The demo's acts (a) to (d), on a stage where agents run back to back.

import { until } from "../../src/base/retry.ts";
import type { ClusterStatus } from "../../src/cluster/status.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import type { Agent } from "../agents.ts";
import { killMidCompile, untilRestarted } from "../cluster/kill.ts";
import { runAt } from "../cluster/outage.ts";
import type { LabHost } from "../host.ts";
import type { DemoFacts } from "./judge.ts";
import type { Stage } from "./stage.ts";

const COMPILE_SECONDS = 4;
const KILL_MS_MAX = 120_000;
const RESTART_MS_MAX = 240_000;
const RUN_END_MS_MAX = 240_000;
const MOMENT_MS_MAX = 180_000;
const GAP_MS_MAX = 60_000;
/** How long an instant is waited for at which not every agent is connected. */
const MIXED_MS_MAX = 90_000;
/** Agents whose compiles stay slow for the cut: it shall find one going on. */
const SLOW_AT_CUT = 2;
const AFTER_CUT_RUNS = 2;

/** (a) SIGKILLs the puppetserver that is compiling, in mid-compile, `count` times. */
export async function killCompiling(stage: Stage, count: number): Promise<DemoFacts["kills"]> {
  const { cluster, loop, say } = stage;
  const certnames = stage.agents.map(({ certname }) => certname);
  for (const certname of certnames) {
    await cluster.mood(certname, { is: "slow", seconds: COMPILE_SECONDS });
  }
  const before = countReplays(await cluster.status());
  const fromMs = wallMs();
  for (let number = 1; number <= count; number += 1) {
    const kill = await killMidCompile(cluster.servers, certnames, KILL_MS_MAX);
    const { server, certname, atMs } = kill;
    say(`SIGKILL of puppetserver on ${server.fqdn}, which was compiling for ${certname}`);
    const run = await until(
      `the end of the run of ${certname}`,
      () => runAt(loop.runs, certname, atMs),
      { withinMs: RUN_END_MS_MAX },
    );
    const outcome = run.ok ? "succeeded all the same" : `FAILED: ${run.because}`;
    say(`that run ${outcome}, in ${(run.ms / 1000).toFixed(1)} s`);
    await untilRestarted(kill, RESTART_MS_MAX);
    await cluster.untilWhole();
    say(`${server.fqdn} compiles again (${number} of ${count})`);
  }
  const replays = countReplays(await cluster.status()) - before;
  return { span: { fromMs, toMs: wallMs() }, count, replays };
}

/** How many requests the edges have replayed since they started. */
export function countReplays(status: ClusterStatus): number {
  return status.members.reduce((sum, { local }) => sum + (local?.edge?.replays ?? 0), 0);
}

/** What a power cut was like, while it still goes on. */
export interface Outage {
  server: LabHost;
  atMs: number;
  open: string[];
}

/**
 * (b) Cuts the power of the server that holds the address, while runs go on and another server
 * compiles: if it can be had, at an instant when some agents have a connection to its edge and
 * others are at work without one.
 */
export async function cutHolder(stage: Stage): Promise<Outage> {
  const { agents, cluster, connections, say } = stage;
  const certnames = agents.map(({ certname }) => certname);
  for (const certname of certnames.slice(SLOW_AT_CUT))
    await cluster.mood(certname, { is: "plain" });
  const mixedUntilMs = monotonicMs() + MIXED_MS_MAX;
  const find = async () => {
    const holder = await cluster.holder();
    const compiling = await cluster.compiling(certnames);
    if (compiling === undefined || compiling.server === holder) return undefined;
    const all = connections.openAt(wallMs()).length === certnames.length;
    return all && monotonicMs() < mixedUntilMs ? undefined : holder;
  };
  const server = await until("a moment when another server compiles", find, {
    withinMs: MOMENT_MS_MAX,
    everyMs: 100,
  });
  const atMs = wallMs();
  await server.powerCut();
  const open = connections.openAt(atMs);
  say(`power cut of ${server.fqdn}, which held ${cluster.vip}`);
  say(`connected to its edge at that instant: ${open.join(", ") || "nobody"}`);
  return { server, atMs, open };
}

/** How long the address was away, once it is back; undefined when it stays away. */
export async function measureGap(stage: Stage, outage: Outage): Promise<number | undefined> {
  const find = () =>
    stage.prober.soFar().gaps.find(({ toMs }) => toMs !== undefined && toMs > outage.atMs);
  const gap = await until("the address's return", find, {
    withinMs: GAP_MS_MAX,
    everyMs: 500,
  }).catch(() => undefined);
  const away = gap === undefined ? "did not come back" : `was away for ${Math.round(gap.ms)} ms`;
  stage.say(`${stage.cluster.vip} ${away}`);
  return gap?.ms;
}

/** (c) A new agent's first run, right after the cut. */
export async function enrolMeanwhile(
  stage: Stage,
  agent: Agent,
): Promise<DemoFacts["enrolDuringOutage"]> {
  const { ok, ms, because } = await agent.run();
  const outcome = ok ? `enrolled and has its catalog` : `FAILED: ${because}`;
  stage.say(`${agent.certname}: ${outcome}, after ${(ms / 1000).toFixed(1)} s`);
  return { ok, ms, because };
}

/** Waits until agents have gone through a few runs that began after the cut. */
export async function awaitRunsAfter(stage: Stage, outage: Outage): Promise<void> {
  await until(
    "runs after the cut",
    () => {
      const runs = stage.loop.runs.filter(({ startedAt }) => startedAt > outage.atMs);
      return runs.length >= AFTER_CUT_RUNS;
    },
    { withinMs: RUN_END_MS_MAX },
  );
}

/**
 * (d) Boots the server again and waits until it is back in every list. Returns the milliseconds it
 * took.
 */
export async function bootAgain(stage: Stage, outage: Outage): Promise<number> {
  const begun = monotonicMs();
  stage.say(`${outage.server.fqdn} has power again`);
  await outage.server.boot();
  await stage.cluster.untilWhole();
  return monotonicMs() - begun;
}
