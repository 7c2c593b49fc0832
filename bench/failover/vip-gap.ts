// How long the virtual address is gone when its holder loses power: TCP connections every 5 ms from
// an agent's host, from the last success to the first one after it. puppetservers are stopped
// meanwhile, so that nothing but the address and what accepts on it is measured.

import { Fault } from "../../src/base/fault.ts";
import { pause } from "../../src/base/retry.ts";
import { bootDead } from "../../lab/cluster.ts";
import type { LabHost } from "../../lab/host.ts";
import { awaitReturn, startProber } from "../../lab/prober.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Measuring, type Seen } from "../group.ts";
import type { Site } from "../site.ts";
import { median, worst } from "../stats.ts";

const AGENTS_PORT = 8140;
const BACK_MS_MAX = 30_000;
const RESTART_MS_MAX = 300_000;
/** Adverts are sent every second, or ten times a second: cuts are spread over that second. */
const PHASE_MS = 1000;
const PHASE_STEP_MS = 370;

interface Trial {
  server: string;
  gapMs: number;
  /** How late the prober itself was at worst. */
  stallMs: number;
}

export function vipGap(): Group {
  const seen: Seen<Trial[]> = {};
  return {
    name: "vip-gap",
    about: "gap of the virtual address when its holder loses power",
    trials: { full: 10, quick: 2, baseline: 10 },
    measure: async (site, measuring) => {
      try {
        await setPuppetservers(site, "disable");
        await makeTrials(seen, site, measuring, async (number, keep) => {
          const { trial, holder } = await measureCut(site, number, measuring);
          keep(trial);
          await holder.boot();
        });
      } finally {
        await bootDead(site.servers);
        await setPuppetservers(site, "enable");
      }
      await site.untilWhole();
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const inSeconds = (trials: Trial[] | undefined) =>
        filled(trials)?.map(({ gapMs }) => gapMs / 1000);
      const ours = inSeconds(seen.understudy);
      const theirs = inSeconds(seen.baseline);
      if (ours === undefined) return [];
      const baseline = (of: (values: number[]) => number) => theirs && of(theirs);
      return [
        figure("gap of the virtual IP at a power cut, median", median(ours), "s", {
          baseline: baseline(median),
          goal: { under: 0.6 },
        }),
        figure("gap of the virtual IP at a power cut, worst", worst(ours), "s", {
          baseline: baseline(worst),
        }),
      ];
    },
    raw: () => seen,
  };
}

async function setPuppetservers(site: Site, verb: "enable" | "disable"): Promise<void> {
  const command = `systemctl ${verb} --now puppetserver && sync -f /etc`;
  await Promise.all(
    site.servers.map((server) => server.run(command, { withinMs: RESTART_MS_MAX })),
  );
}

async function measureCut(
  site: Site,
  number: number,
  { say }: Measuring,
): Promise<{ trial: Trial; holder: LabHost }> {
  await site.untilStandby();
  const holder = await site.holder();
  if (holder === undefined) throw new Fault("bench.no-address", "nobody holds the address");
  const place = { host: site.agentHost.name, address: site.vip, port: AGENTS_PORT };
  await using prober = await startProber(site.lab, place);
  await pause(PHASE_MS + ((number * PHASE_STEP_MS) % PHASE_MS));
  const atMs = await holder.powerCut();
  const gapMs = await awaitReturn(prober, atMs, BACK_MS_MAX);
  const { worstStallMs } = await prober.stop();
  say(`${site.kind}: cut ${number} of the holder (${holder.name}): ${Math.round(gapMs)} ms`);
  return { trial: { server: holder.name, gapMs, stallMs: worstStallMs }, holder };
}
