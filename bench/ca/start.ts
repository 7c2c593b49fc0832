// How long a daemon with 100,000 certificates takes to start, what it takes of memory, and how soon
// an edge that starts right after gives its first answer.

import { pause } from "../../src/base/retry.ts";
import { PATHS, UNITS } from "../../src/host/paths.ts";
import type { LabHost } from "../../lab/host.ts";
import { figure } from "../figure.ts";
import { type Group, makeTrials, type Seen } from "../group.ts";
import { readUsage, unitProcesses } from "../processes.ts";
import { median, worst } from "../stats.ts";
import { fleetName } from "./directory.ts";
import type { CaSite } from "./site.ts";

const START_MS_MAX = 120_000;
/** It compares the directory with the record meanwhile, which takes memory too. */
const SETTLE_MS = 15_000;
const MEGABYTE = 1_000_000;

interface Trial {
  startS: number;
  residentMB: number;
  settledMB: number;
  edgeS: number;
}

export function start(): Group<CaSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "start",
    about: "start of the daemon with 100,000 certificates, its memory, a cold edge's first answer",
    trials: { full: 5, quick: 2, baseline: 0 },
    measure: async (site, measuring) => {
      const [server] = site.servers;
      if (server === undefined) return;
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const trial = await measureStart(server);
        const { startS, edgeS, settledMB } = trial;
        const times = `daemon ${startS.toFixed(2)} s, edge ${edgeS.toFixed(2)} s`;
        measuring.say(`${site.kind}: start ${number}: ${times}, ${settledMB.toFixed(0)} MB`);
        keep(trial);
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const trials = seen.understudy ?? [];
      if (trials.length === 0) return [];
      const all = (pick: (trial: Trial) => number) => trials.map(pick);
      const starts = all(({ startS }) => startS);
      const memory = all(({ residentMB, settledMB }) => Math.max(residentMB, settledMB));
      const name = "daemon with 100,000 certificates, 50,000 revoked";
      return [
        figure(`${name}: start, median`, median(starts), "s"),
        figure(`${name}: start, worst`, worst(starts), "s", { goal: { under: 5 } }),
        figure(`${name}: resident, worst`, worst(memory), "MB", { goal: { under: 400 } }),
        figure(
          "a cold edge right after: its first answer, median",
          median(all((t) => t.edgeS)),
          "s",
        ),
      ];
    },
    raw: () => seen,
  };
}

async function measureStart(server: LabHost): Promise<Trial> {
  await server.run(["systemctl", "stop", UNITS.edge, UNITS.daemon]);
  const startS = await timeUntilAnswer(
    server,
    UNITS.daemon,
    `--unix-socket ${PATHS.caSocket} http://ca/puppet-ca/v1/certificate/${fleetName(1)}`,
  );
  const [main] = await unitProcesses(server, UNITS.daemon);
  const resident = () => readUsage(main === undefined ? [] : [main]).residentBytes / MEGABYTE;
  const residentMB = resident();
  const url = `https://${server.fqdn}:8140/puppet-ca/v1/certificate/${fleetName(2)}`;
  const edgeS = await timeUntilAnswer(server, UNITS.edge, `--insecure ${url}`);
  await pause(SETTLE_MS);
  return { startS, residentMB, settledMB: resident(), edgeS };
}

/** Seconds from telling systemd to start `unit` to the first good answer to `curl`. */
async function timeUntilAnswer(server: LabHost, unit: string, curl: string): Promise<number> {
  const script = `systemctl start --no-block ${unit}
until curl -sf -o /dev/null --max-time 60 ${curl}; do sleep 0.02; done`;
  const before = Number(await server.run("date +%s%N"));
  const after = Number(await server.run(`${script}\ndate +%s%N`, { withinMs: START_MS_MAX }));
  return (after - before) / 1e9;
}
