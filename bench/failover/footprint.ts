// What a server of ours costs while nothing happens: memory and processor time of the daemon, and
// of what runs beside it.

import { pause } from "../../src/base/retry.ts";
import { monotonicMs } from "../../src/host/clock.ts";
import { figure } from "../figure.ts";
import type { Figure } from "../figure.ts";
import type { Group } from "../group.ts";
import { readUsage, unitProcesses } from "../processes.ts";
import type { Site } from "../site.ts";
import { median, worst } from "../stats.ts";

export const UNITS = {
  "understudy.service": "daemon",
  "understudy-etcd.service": "etcd",
  "understudy-edge.service": "HAProxy",
  "understudy-files.service": "file server",
  "understudy-vip.service": "keepalived",
};
type Unit = keyof typeof UNITS;

const SETTLE_MS = 20_000;
const IDLE_MS = 30_000;
const MEGABYTE = 1_000_000;
const DAEMON_GOALS = [{ goal: { under: 150 } }, { goal: { under: 2 } }] as const;

export interface Sample {
  server: string;
  unit: Unit;
  residentMB: number;
  /** Percent of one core. */
  corePercent: number;
}

export function footprint(): Group {
  let seen: Sample[] = [];
  let made = 0;
  return {
    name: "footprint",
    about: "memory and processor time of an idle server's daemon, etcd, HAProxy and file server",
    trials: { full: 3, quick: 1, baseline: 0 },
    measure: async (site, { trials, say }) => {
      seen = [];
      made = 0;
      await site.untilWhole();
      // It starts with its first request otherwise.
      const start = ["systemctl", "start", "understudy-files.service"];
      for (const server of site.servers) await server.run(start);
      await pause(SETTLE_MS);
      for (let number = 1; number <= trials; number += 1) {
        seen.push(...(await sampleIdle(site)));
        made = number;
        say(`${site.kind}: idle for ${IDLE_MS / 1000} s (${number} of ${trials})`);
      }
    },
    made: () => made,
    figures: () => (seen.length === 0 ? [] : judge(seen)),
    raw: () => seen,
  };
}

async function sampleIdle(site: Site): Promise<Sample[]> {
  const units = Object.keys(UNITS) as Unit[];
  const watched = site.servers.flatMap((server) => units.map((unit) => ({ server, unit })));
  const processes = await Promise.all(
    watched.map(async (each) => ({
      ...each,
      pids: await unitProcesses(each.server, each.unit),
    })),
  );
  const begun = monotonicMs();
  const before = processes.map(({ pids }) => readUsage(pids).cpuMs);
  await pause(IDLE_MS);
  const ms = monotonicMs() - begun;
  return processes.map(({ server, unit, pids }, index) => {
    const { residentBytes, cpuMs } = readUsage(pids);
    return {
      server: server.name,
      unit,
      residentMB: residentBytes / MEGABYTE,
      corePercent: ((cpuMs - (before[index] ?? 0)) / ms) * 100,
    };
  });
}

/** The worst server counts, since servers differ: one leads etcd. */
export function judge(samples: readonly Sample[]): Figure[] {
  return (Object.keys(UNITS) as Unit[]).flatMap((unit) => {
    const [memoryGoal, cpuGoal] = unit === "understudy.service" ? DAEMON_GOALS : [{}, {}];
    const ofUnit = samples.filter((sample) => sample.unit === unit);
    const memory = ofUnit.map(({ residentMB }) => residentMB);
    const byServer = Object.values(Object.groupBy(ofUnit, ({ server }) => server));
    const cpu = byServer.map((some = []) => median(some.map(({ corePercent }) => corePercent)));
    const name = UNITS[unit];
    return [
      figure(`${name}: resident, worst`, worst(memory), "MB", memoryGoal),
      figure(
        `${name}: processor when idle, worst server's median`,
        worst(cpu),
        "% of a core",
        cpuGoal,
      ),
    ];
  });
}
