// The server that holds the address loses power while agents run: the cut, how long the address was
// away, a new agent meanwhile, and the server's return. The demo shows it and a scenario tests it.

import { until } from "../../src/base/retry.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import type { Agent, AgentRun } from "../agents.ts";
import type { LabHost } from "../host.ts";
import { awaitReturn } from "../prober.ts";
import { HUNG_MS } from "./crew.ts";
import type { Cut } from "./outage.ts";
import type { Stage } from "./stage.ts";

const COMPILE_SECONDS = 4;
const RUN_END_MS_MAX = 240_000;
const MOMENT_MS_MAX = 180_000;
const GAP_MS_MAX = 60_000;
/** How long an instant is waited for at which not every agent is connected. */
const MIXED_MS_MAX = 90_000;
/** Agents whose compiles are slow at the cut: it shall find one going on. */
const SLOW_AT_CUT = 2;
const AFTER_CUT_RUNS = 2;

/** A power cut that goes on. */
export interface Outage extends Cut {
  server: LabHost;
}

/**
 * Cuts the power of the server that holds the address, while runs go on and another server
 * compiles: if it can be had, at an instant when some agents have a connection to its edge and
 * others are at work without one.
 */
export async function cutHolder(stage: Stage): Promise<Outage> {
  const { agents, cluster, connections, say } = stage;
  const certnames = agents.map(({ certname }) => certname);
  for (const [index, certname] of certnames.entries()) {
    const slow = { is: "slow", seconds: COMPILE_SECONDS } as const;
    await cluster.mood(certname, index < SLOW_AT_CUT ? slow : { is: "plain" });
  }
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
  const atMs = await server.powerCut();
  const open = connections.openAt(atMs);
  say(`power cut of ${server.fqdn}, which held ${cluster.vip}`);
  say(`connected to its edge at that instant: ${open.join(", ") || "nobody"}`);
  return { server, atMs, open };
}

/** How long the address was away, once it is back; undefined when it stays away. */
export async function measureGap(stage: Stage, outage: Outage): Promise<number | undefined> {
  const gapMs = await awaitReturn(stage.prober, outage.atMs, GAP_MS_MAX).catch(() => undefined);
  const away = gapMs === undefined ? "did not come back" : `was away for ${Math.round(gapMs)} ms`;
  stage.say(`${stage.cluster.vip} ${away}`);
  return gapMs;
}

/** A new agent's first run, right after the cut. */
export async function enrolMeanwhile(
  stage: Stage,
  agent: Agent,
): Promise<Pick<AgentRun, "ok" | "ms" | "because">> {
  const { ok, ms, because } = await agent.run({ withinMs: HUNG_MS });
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
 * Boots the server again and waits until it is back in every list. Returns the milliseconds it
 * took.
 */
export async function bootAgain(stage: Stage, outage: Outage): Promise<number> {
  const begun = monotonicMs();
  stage.say(`${outage.server.fqdn} has power again`);
  await outage.server.boot();
  await stage.cluster.untilWhole();
  return monotonicMs() - begun;
}
