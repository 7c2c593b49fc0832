// What becomes of an agent's run whose catalog is being compiled by a puppetserver that is killed
// (SIGKILL) in mid-compile. A catalog from the agent's cache is a failed run, whatever the exit
// code, and so is a hang.

import type { Agent, AgentRun } from "../../lab/agents.ts";
import { type Kill, killMidCompile, untilRestarted } from "../../lab/cluster/kill.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import type { Site } from "../site.ts";
import { median, worst } from "../stats.ts";

const COMPILE_SECONDS = 4;
const KILL_MS_MAX = 120_000;
const RESTART_MS_MAX = 240_000;

interface Trial {
  server: string;
  run: Pick<AgentRun, "ok" | "hung" | "because" | "ms" | "code">;
}

export function compileKills(): Group {
  const seen: Seen<Trial[]> = {};
  return {
    name: "compile-kills",
    about: "failed runs when the puppetserver that compiles their catalog is killed",
    trials: { full: 20, quick: 2, baseline: 6 },
    measure: async (site, measuring) => {
      const [agent] = await site.agents(["killed"]);
      if (agent === undefined) return;
      await site.mood(agent.certname, { is: "slow", seconds: COMPILE_SECONDS });
      try {
        await makeTrials(seen, site, measuring, async (number, keep) => {
          await site.untilWhole();
          const { trial, kill } = await measureKill(site, agent);
          keep(trial);
          const { ok, because, ms } = trial.run;
          const outcome = ok ? `succeeded in ${(ms / 1000).toFixed(1)} s` : `failed: ${because}`;
          measuring.say(`${site.kind}: kill ${number} (${trial.server}): the run ${outcome}`);
          await untilRestarted(kill, RESTART_MS_MAX);
        });
      } finally {
        await site.mood(agent.certname, { is: "plain" });
      }
      await site.untilWhole();
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      const theirs = filled(seen.baseline);
      if (ours === undefined) return [];
      const good = ours.filter(({ run }) => run.ok).map(({ run }) => run.ms / 1000);
      const figures = [
        figure(
          `failed runs of ${ours.length} whose compiling server is killed`,
          failed(ours),
          "runs",
          {
            goal: { atMost: 0 },
          },
        ),
        figure("failed runs per kill", failed(ours) / ours.length, "", {
          baseline: theirs && failed(theirs) / theirs.length,
          goal: { atMost: 0 },
        }),
      ];
      if (good.length > 0) {
        figures.push(figure("such a run's length, median", median(good), "s"));
        figures.push(figure("such a run's length, worst", worst(good), "s"));
      }
      return figures;
    },
    raw: () => seen,
  };
}

function failed(trials: readonly Trial[]): number {
  return trials.filter(({ run }) => !run.ok).length;
}

async function measureKill(site: Site, agent: Agent): Promise<{ trial: Trial; kill: Kill }> {
  const [run, kill] = await Promise.all([
    agent.run(),
    killMidCompile(site.servers, [agent.certname], KILL_MS_MAX),
  ]);
  const { ok, hung, because, ms, code } = run;
  return { trial: { server: kill.server.name, run: { ok, hung, because, ms, code } }, kill };
}
