// How long a command takes until it is acknowledged with two copies on disk, and how many are taken
// per second, beside PuppetDB's own answer, which has one copy and no fsync.

import { type Figure, figure } from "../figure.ts";
import { type Group, makeTrials, type Seen } from "../group.ts";
import { median, quantile } from "../stats.ts";
import { rateOf, type Slice } from "./load-plan.ts";
import { runLoad } from "./load.ts";
import type { CourierSite } from "./site.ts";

const ONE_AFTER_THE_OTHER = 200;
const AT_ONCE = 8;
const SLICE_MS = 8000;
const REQUESTS_PER_SECOND = 400;
const TIMES = 2;
const FSYNCS = 200;

/** Writes as much as a command has, and syncs it; prints milliseconds, one a line. */
const FSYNC = `import { openSync, writeSync, fsyncSync } from "node:fs";
const file = openSync("/var/lib/understudy/courier/fsync-probe", "w");
for (let at = 0; at < ${FSYNCS}; at += 1) {
  const begun = performance.now();
  writeSync(file, Buffer.alloc(4096, at));
  fsyncSync(file);
  console.log(performance.now() - begun);
}
`;

interface Pair {
  straight: Slice;
  courier: Slice;
}

interface Trial {
  one: Pair;
  many: Pair;
  fsyncsMs: number[];
}

export function acknowledgement(): Group<CourierSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "acknowledgement",
    about: "commands acknowledged with two copies, beside PuppetDB's own acknowledgement",
    trials: { full: 5, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      await pair(site, AT_ONCE);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const one = await pair(site, 1);
        const many = await pair(site, AT_ONCE);
        const fsyncsMs = await probeDisk(site);
        keep({ one, many, fsyncsMs });
        const p50 = (slice: Slice) => `${quantile(slice.latenciesMs, 0.5).toFixed(1)} ms`;
        const rate = (slice: Slice) => `${rateOf(slice).toFixed(0)} per s`;
        measuring.say(
          `trial ${number}: ${p50(one.straight)} straight, ${p50(one.courier)} by the courier; ` +
            `${rate(many.straight)} and ${rate(many.courier)}`,
        );
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => (seen.understudy?.length ? toFigures(seen.understudy) : []),
    raw: () => seen.understudy?.map(({ one, many }) => ({ one: brief(one), many: brief(many) })),
  };
}

/** Each when nothing of the former is left to be stored. */
async function pair(site: CourierSite, connections: number): Promise<Pair> {
  const slice = async (door: "straight" | "courier") => {
    await site.untilDrained();
    const requestsMax =
      connections === 1 ? ONE_AFTER_THE_OTHER : (REQUESTS_PER_SECOND * SLICE_MS) / 1000;
    const wish = { connections, ms: SLICE_MS, requestsMax, what: "facts" as const };
    return runLoad(site, { door: site[door], ...wish });
  };
  return { straight: await slice("straight"), courier: await slice("courier") };
}

async function probeDisk({ server }: CourierSite): Promise<number[]> {
  await server.writeFile("/root/fsync.mjs", FSYNC);
  const said = await server.run("/usr/lib/understudy/node /root/fsync.mjs");
  return said.trim().split("\n").map(Number);
}

function toFigures(trials: readonly Trial[]): Figure[] {
  const latencies = (pick: (trial: Trial) => Slice) =>
    trials.flatMap((trial) => pick(trial).latenciesMs);
  const [straight, courier] = [
    latencies(({ one }) => one.straight),
    latencies(({ one }) => one.courier),
  ];
  const at = (q: number) => [quantile(courier, q), quantile(straight, q)] as const;
  const fsyncP99 = quantile(
    trials.flatMap(({ fsyncsMs }) => fsyncsMs),
    0.99,
  );
  const [p50, straightP50] = at(0.5);
  const [p99, straightP99] = at(0.99);
  const rate = median(trials.map(({ many }) => rateOf(many.courier)));
  const straightRate = median(trials.map(({ many }) => rateOf(many.straight)));
  return [
    figure("acknowledgement with two copies, p50", p50, "ms", { baseline: straightP50 }),
    figure("acknowledgement, p50 / straight's", p50 / straightP50, "", { goal: { atMost: TIMES } }),
    figure("acknowledgement with two copies, p99", p99, "ms", { baseline: straightP99 }),
    figure(
      "acknowledgement, p99 / the larger of straight's and fsync's",
      p99 / Math.max(straightP99, fsyncP99),
      "",
      { goal: { atMost: TIMES } },
    ),
    figure("one fsync of 4 kB, p99", fsyncP99, "ms"),
    figure(`commands taken over ${AT_ONCE} connections`, rate, "per s", {
      baseline: straightRate,
    }),
    figure("commands taken / straight's", rate / straightRate, "", { goal: { atLeast: 1 } }),
  ];
}

/** Thousands of latencies would drown the file. */
function brief({ straight, courier }: Pair): unknown {
  const of = (slice: Slice) => ({
    rate: rateOf(slice),
    p50: quantile(slice.latenciesMs, 0.5),
    p99: quantile(slice.latenciesMs, 0.99),
  });
  return { straight: of(straight), courier: of(courier) };
}
