// Six agents back to back for a minute, with the power of the address's holder cut in it: which
// runs fail or hang, and which of them had a connection through the dead server, the loss that
// can't be helped.

import { Fault } from "../../src/base/fault.ts";
import { pause } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { loopAgents } from "../../lab/agents.ts";
import type { Agent } from "../../lab/agents.ts";
import { watchConnections } from "../../lab/cluster/connections.ts";
import { judgeCut, type Run } from "../../lab/cluster/outage.ts";
import type { LabHost } from "../../lab/host.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Measuring, type Seen } from "../group.ts";
import type { Site } from "../site.ts";
import { worst } from "../stats.ts";

const AGENTS = 6;
const MINUTE_MS = 60_000;
const CUT_AFTER_MS = 20_000;
const CUT_STEP_MS = 1300;
const CUT_SPREAD_MS = 6000;
const AGENTS_PORT = 8140;

interface Trial {
  server: string;
  runs: number;
  failed: number;
  hung: number;
  onDeadEdge: number;
  unexcused: number;
  failures: Run[];
}

export function powerCutRuns(): Group {
  const seen: Seen<Trial[]> = {};
  return {
    name: "power-cut-runs",
    about: "failed and hung runs of six agents around a power cut of the address's holder",
    trials: { full: 5, quick: 1, baseline: 3 },
    measure: async (site, measuring) => {
      const names = Array.from({ length: AGENTS }, (_, index) => `busy${index + 1}`);
      const agents = await site.agents(names);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const { trial, holder } = await measureMinute(site, agents, number, measuring);
        keep(trial);
        await holder.boot();
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      const theirs = filled(seen.baseline);
      if (ours === undefined) return [];
      const perCut = (trials: readonly Trial[] | undefined, key: keyof Counts) =>
        trials && sum(trials, key) / trials.length;
      const worstCut = (trials: readonly Trial[], key: keyof Counts) =>
        worst(trials.map((trial) => trial[key]));
      const worstLine = (name: string, key: keyof Counts) =>
        figure(`${name}, worst cut`, worstCut(ours, key), "runs", {
          baseline: theirs && worstCut(theirs, key),
        });
      const line = (name: string, key: keyof Counts, judged = false) =>
        figure(name, perCut(ours, key) ?? 0, "per cut", {
          baseline: perCut(theirs, key),
          ...(judged ? { goal: { atMost: 0 } } : {}),
        });
      return [
        figure(`power cuts with ${AGENTS} agents running`, ours.length, "cuts"),
        line("runs that ended after the cut", "runs"),
        line("failed and hung runs", "failed"),
        worstLine("failed and hung runs", "failed"),
        line("of these hung (2 minutes)", "hung"),
        line("runs connected to the dead server", "onDeadEdge"),
        line("failed and hung runs without such a connection", "unexcused", true),
        worstLine("failed and hung runs without such a connection", "unexcused"),
      ];
    },
    raw: () => seen,
  };
}

type Counts = Pick<Trial, "runs" | "failed" | "hung" | "onDeadEdge" | "unexcused">;

function sum(trials: readonly Trial[], key: keyof Counts): number {
  return trials.reduce((total, trial) => total + trial[key], 0);
}

async function measureMinute(
  site: Site,
  agents: readonly Agent[],
  number: number,
  { say }: Measuring,
): Promise<{ trial: Trial; holder: LabHost }> {
  await site.untilWhole();
  const place = { host: site.agentHost.name, address: site.vip, port: AGENTS_PORT };
  await using connections = await watchConnections(site.lab, place);
  await using loop = loopAgents(agents);
  await pause(CUT_AFTER_MS + ((number * CUT_STEP_MS) % CUT_SPREAD_MS));
  const holder = await site.holder();
  if (holder === undefined) throw new Fault("bench.no-address", "nobody holds the address");
  const atMs = await holder.powerCut();
  const open = connections.openAt(atMs);
  await pause(MINUTE_MS - CUT_AFTER_MS);
  const runs = await loop.stop();
  const outcome = judgeCut(runs, { fromMs: atMs, toMs: wallMs() }, open);
  const trial = {
    server: holder.name,
    runs: outcome.runs.length,
    failed: outcome.failed.length,
    hung: outcome.hung.length,
    onDeadEdge: outcome.onDeadEdge.length,
    unexcused: outcome.unexcused.length,
    failures: outcome.failed,
  };
  say(
    `${site.kind}: cut ${number} (${holder.name}): ${trial.runs} runs, ${trial.failed} failed, ` +
      `${trial.hung} of them hung, ${trial.onDeadEdge} were connected to the dead server`,
  );
  return { trial, holder };
}
