// Whether a drill's figures are what somebody else sees: each kind again and again, beside an
// outside prober that connects every 10 ms from an agent's host.

import type { DrillKind } from "../../src/cluster/drill.ts";
import { Cluster } from "../../lab/cluster.ts";
import { holdOne } from "../../lab/cluster/drill.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import type { BareSite } from "../site.ts";
import { median, worst } from "../stats.ts";

/** Those that a cluster without PuppetDB can bear. */
const KINDS: DrillKind[] = [
  "puppetserver-kill",
  "edge-kill",
  "daemon-kill",
  "vip-move",
  "etcd-loss",
  "server-isolate",
];
/** The drill's outage may be off by so much, or by a tenth. */
const OFF_MS = 50;
const OFF_PART = 0.1;

interface Trial {
  kind: DrillKind;
  server: string;
  outageMs: number;
  outsideMs: number;
  /** How late the outside prober itself was at worst. */
  stallMs: number;
  detectedMs: number | undefined;
  failedCatalogs: number;
  catalogs: number;
  replays: number;
  tookMs: number;
}

export function drills(): Group<BareSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "drills",
    about: "each kind of drill, its figures beside an outside prober's",
    trials: { full: 5, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      const names = site.servers.map(({ name }) => name);
      const cluster = new Cluster(site.lab, names, [site.agentHost.name], true);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        for (const kind of KINDS) {
          await cluster.untilWhole();
          const trial = await measureOne(cluster, kind);
          const { outageMs, outsideMs } = trial;
          measuring.say(`${kind} ${number}: ${outageMs} ms, outside ${Math.round(outsideMs)} ms`);
          keep(trial);
        }
      });
    },
    made: () => Math.floor((seen.understudy?.length ?? 0) / KINDS.length),
    figures: () => KINDS.flatMap((kind) => figuresOf(kind, seen.understudy ?? [])),
    raw: () => seen,
  };
}

async function measureOne(cluster: Cluster, kind: DrillKind): Promise<Trial> {
  const { report, outside } = await holdOne(cluster, kind);
  const { figures, server, startMs, endMs } = report;
  return {
    kind,
    server,
    outageMs: figures?.outageMs ?? Number.NaN,
    outsideMs: outside.longestGapMs,
    stallMs: outside.worstStallMs,
    detectedMs: figures?.detectedMs,
    failedCatalogs: figures?.catalogs.failed ?? 0,
    catalogs: figures?.catalogs.count ?? 0,
    replays: figures?.replays ?? 0,
    tookMs: endMs - startMs,
  };
}

function figuresOf(kind: DrillKind, all: readonly Trial[]) {
  const trials = filled(all.filter((trial) => trial.kind === kind));
  if (trials === undefined) return [];
  // What the prober owes to a busy machine is nobody's error.
  const off = trials.map(({ outageMs, outsideMs, stallMs }) => {
    const allowed = Math.max(OFF_MS, outsideMs * OFF_PART);
    return Math.max(0, Math.abs(outageMs - outsideMs) - stallMs) / allowed;
  });
  const detected = trials.flatMap(({ detectedMs }) => detectedMs ?? []);
  return [
    figure(`${kind}: no new connection, median`, median(trials.map((t) => t.outageMs)), "ms"),
    figure(`${kind}: off the outside prober, in parts of 10 % or 50 ms, worst`, worst(off), "", {
      goal: { atMost: 1 },
    }),
    ...(detected.length === 0 ? [] : [figure(`${kind}: detected, median`, median(detected), "ms")]),
    figure(`${kind}: catalogs failed, worst`, worst(trials.map((t) => t.failedCatalogs)), ""),
  ];
}
