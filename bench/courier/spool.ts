// How a courier starts with a million commands in its spool, and what memory that takes. On this
// machine's disk, without the lab.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { run } from "../../src/host/process.ts";
import { type Figure, figure } from "../figure.ts";
import { type Group, makeTrials, type Seen } from "../group.ts";
import { worst } from "../stats.ts";
import type { CourierSite } from "./site.ts";

const MANY = 1_000_000;
const FEW = 10_000;
const FILL_MS_MAX = 900_000;
const START_S = 5;

const Opened = z.object({ ms: z.number(), residentMiB: z.number() });

interface Trial {
  many: z.infer<typeof Opened>;
  few: z.infer<typeof Opened>;
}

export function spool(): Group<CourierSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "spool",
    about: "a start with a million commands in the spool",
    trials: { full: 3, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      const folder = await mkdtemp(join(tmpdir(), "spool-"));
      try {
        for (const count of [FEW, MANY]) {
          measuring.say(`a spool of ${count} commands is filled`);
          await program("fill", join(folder, String(count)), count);
        }
        await makeTrials(seen, site, measuring, async (number, keep) => {
          const open = async (count: number) =>
            Opened.parse(JSON.parse(await program("open", join(folder, String(count)), count)));
          const trial = { few: await open(FEW), many: await open(MANY) };
          const { ms, residentMiB } = trial.many;
          measuring.say(`start ${number}: ${ms.toFixed(0)} ms, ${residentMiB.toFixed(0)} MiB`);
          keep(trial);
        });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => (seen.understudy?.length ? toFigures(seen.understudy) : []),
    raw: () => seen,
  };
}

async function program(task: string, folder: string, count: number): Promise<string> {
  const file = new URL("./spool-program.ts", import.meta.url).pathname;
  return run([process.execPath, file, task, folder, String(count)], { withinMs: FILL_MS_MAX });
}

function toFigures(trials: readonly Trial[]): Figure[] {
  const of = (pick: (trial: Trial) => number) => worst(trials.map(pick));
  return [
    figure(
      `start with ${MANY} commands in the spool, worst`,
      of(({ many }) => many.ms / 1000),
      "s",
      {
        goal: { under: START_S },
      },
    ),
    figure(
      `memory with ${MANY} commands in the spool`,
      of(({ many }) => many.residentMiB),
      "MiB",
      {
        baseline: of(({ few }) => few.residentMiB),
      },
    ),
  ];
}
