// How fast an empty PuppetDB is brought level with a full one, beside the rate at which it takes
// the same commands straight. On two PuppetDBs of one host, without anything else: the one that is
// read from costs processor time of the same cores.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type PairedPuppetDb,
  startOne,
  startPair,
  stopOne,
} from "../../lab/cluster/puppetdb-pair.ts";
import { wipeDatabase } from "../../lab/cluster/database.ts";
import { openLab } from "../../lab/lab.ts";
import { Fault } from "../../src/base/fault.ts";
import { SyncRound } from "../../src/cluster/sync-status.ts";
import { monotonicMs } from "../../src/host/clock.ts";
import type { OpenOptions } from "../bench.ts";
import { type Figure, figure } from "../figure.ts";
import { type Group, makeTrials, type Seen } from "../group.ts";
import type { BareSite } from "../site.ts";
import { median } from "../stats.ts";

const NODES = 1000;
/** A catalog, facts and a report of each. */
const COMMANDS = 3 * NODES;
const FILL_MS_MAX = 900_000;
const OF_STRAIGHT = 0.8;
const SYNC_PROGRAM = new URL("../../lab/cluster/sync-program.ts", import.meta.url).pathname;
const FILL_PROGRAM = new URL("./fill-program.ts", import.meta.url).pathname;

export interface PairSite extends BareSite {
  /** It has every node. */
  full: PairedPuppetDb;
  /** It is filled again and again. */
  other: PairedPuppetDb;
}

export async function openPair({ say, signal }: OpenOptions): Promise<PairSite> {
  const lab = await openLab({ hosts: ["s1"], say, signal });
  try {
    const host = lab.host("s1");
    const [full, other] = (await startPair(host, "0s")) as [PairedPuppetDb, PairedPuppetDb];
    const site: PairSite = {
      kind: "understudy",
      lab,
      servers: [host],
      agentHost: host,
      full,
      other,
    };
    say(`${NODES} nodes are stored`);
    await fill(site, full);
    return site;
  } catch (error) {
    await lab.down();
    throw error;
  }
}

interface Trial {
  straightMs: number;
  syncMs: number;
}

export function rebuild(): Group<PairSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "rebuild",
    about: "an empty PuppetDB brought level, beside the rate at which it takes commands",
    trials: { full: 3, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      await makeTrials(seen, site, measuring, async (number, keep) => {
        await empty(site);
        const straightMs = await fill(site, site.other);
        await empty(site);
        const syncMs = await sync(site);
        const rate = (ms: number) => `${((COMMANDS / ms) * 1000).toFixed(0)} per s`;
        measuring.say(`trial ${number}: ${rate(straightMs)} straight, ${rate(syncMs)} by the sync`);
        keep({ straightMs, syncMs });
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => (seen.understudy?.length ? toFigures(seen.understudy) : []),
    raw: () => seen,
  };
}

/** Both measurements begin with a PuppetDB that has just started and has nothing. */
async function empty({ servers: [host], other }: PairSite): Promise<void> {
  if (host === undefined) return;
  await stopOne(host, other);
  await wipeDatabase(host, `pdb${other.n}`);
  await startOne(host, other);
}

/** Sends every node's commands straight; returns after how many milliseconds all are stored. */
async function fill({ lab }: PairSite, to: PairedPuppetDb): Promise<number> {
  const argv = [process.execPath, FILL_PROGRAM, to.url, String(NODES)];
  const ended = await lab.fromNetwork(argv, { host: "s1", withinMs: FILL_MS_MAX });
  if (ended.ok) return Number(ended.stdout);
  throw new Fault("bench.load-failed", `${FILL_PROGRAM}: ${ended.stderr.slice(-800)}`);
}

/** Has it brought level; returns after how many milliseconds it is. */
async function sync({ lab, full, other }: PairSite): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "rebuild-"));
  try {
    const argv = [process.execPath, SYNC_PROGRAM, folder, other.url, full.url];
    const begun = monotonicMs();
    const ended = await lab.fromNetwork(argv, { host: "s1", withinMs: FILL_MS_MAX });
    const ms = monotonicMs() - begun;
    const last = ended.stdout.trim().split("\n").at(-1) ?? "";
    const round = ended.ok ? SyncRound.parse(JSON.parse(last)) : undefined;
    const moved = Object.values(round?.moved ?? {}).reduce((sum, count) => sum + count, 0);
    if (round?.ok === true && moved === COMMANDS) return ms;
    throw new Fault("bench.load-failed", `the sync brought ${moved}: ${last} ${ended.stderr}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function toFigures(trials: readonly Trial[]): Figure[] {
  const rate = (pick: (trial: Trial) => number) =>
    median(trials.map((trial) => (COMMANDS / pick(trial)) * 1000));
  const straight = rate(({ straightMs }) => straightMs);
  const bySync = rate(({ syncMs }) => syncMs);
  return [
    figure(`a rebuild of ${NODES} nodes: catalogs, facts and reports`, bySync, "per s", {
      baseline: straight,
    }),
    figure("a rebuild's rate / straight's", bySync / straight, "", {
      goal: { atLeast: OF_STRAIGHT },
    }),
  ];
}
