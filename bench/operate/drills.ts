// Whether a drill's figures are what somebody else sees: each kind again and again, beside an
// outside prober that connects every 10 ms from an agent's host.

import type { DrillKind } from "../../src/cluster/drill.ts";
import { Cluster, openCluster } from "../../lab/cluster.ts";
import { holdOne } from "../../lab/cluster/drill.ts";
import { startPuppetdb } from "../../lab/cluster/puppetdb.ts";
import { orInterrupted } from "../../lab/interrupt.ts";
import type { OpenOptions } from "../bench.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import { type BareSite, siteOf } from "../site.ts";
import { median, worst } from "../stats.ts";

const ENABLE_MS_MAX = 600_000;

/** Those that a cluster without PuppetDB can bear. */
const BARE_KINDS: DrillKind[] = [
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
const PUPPETDBS = 2;

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
  const about = "each kind of drill but of PuppetDB, its figures beside an outside prober's";
  return group("drills", about, BARE_KINDS);
}

export function puppetdbDrill(): Group<BareSite> {
  const about = "a drill that kills PuppetDB, its figures beside an outside prober's";
  return group("puppetdb-drill", about, ["puppetdb-kill"]);
}

/** Three servers, two of them with a PuppetDB, couriers on all. */
export async function openWithPuppetdbs({ say, signal }: OpenOptions): Promise<BareSite> {
  const cluster = await openCluster({ say, signal });
  try {
    for (const [index, server] of cluster.servers.entries()) {
      const hasOne = index < PUPPETDBS;
      say(`${server.name}: a courier${hasOne ? " and a PuppetDB" : ""}`);
      if (hasOne) await orInterrupted(startPuppetdb(server), signal);
      const enable = `understudy puppetdb enable${hasOne ? "" : " --without-puppetdb"}`;
      await orInterrupted(server.run(enable, { withinMs: ENABLE_MS_MAX }), signal);
    }
    await cluster.first.run("understudy puppetdb accept --force");
    return siteOf(cluster);
  } catch (error) {
    await cluster.down();
    throw error;
  }
}

function group(name: string, about: string, kinds: readonly DrillKind[]): Group<BareSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name,
    about,
    trials: { full: 5, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      const names = site.servers.map(({ name }) => name);
      const cluster = new Cluster(site.lab, names, [site.agentHost.name], true);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        for (const kind of kinds) {
          await cluster.untilWhole();
          const trial = await measureOne(cluster, kind);
          const { outageMs, outsideMs } = trial;
          measuring.say(`${kind} ${number}: ${outageMs} ms, outside ${Math.round(outsideMs)} ms`);
          keep(trial);
        }
      });
    },
    made: () => Math.floor((seen.understudy?.length ?? 0) / kinds.length),
    figures: () => kinds.flatMap((kind) => figuresOf(kind, seen.understudy ?? [])),
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
