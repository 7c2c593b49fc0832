// What a query costs more by way of the courier than straight to PuppetDB.

import { type Figure, figure } from "../figure.ts";
import { type Group, makeTrials, type Seen } from "../group.ts";
import { median } from "../stats.ts";
import { runLoad } from "./load.ts";
import type { CourierSite } from "./site.ts";

const QUERIES = 100;
const SLICE_MS = 60_000;
const OVERHEAD_UNDER = 1.05;
/** What a collector of exported resources asks, and a node's facts as a dashboard asks for them. */
const KINDS: Record<string, string> = {
  "exported resources": `/pdb/query/v4/resources?query=${encodeURIComponent(
    JSON.stringify(["and", ["=", "type", "Nagios_host"], ["=", "exported", true]]),
  )}`,
  "100 nodes": "/pdb/query/v4/nodes?limit=100",
};

interface Trial {
  kind: string;
  straightMs: number;
  courierMs: number;
}

export function queries(): Group<CourierSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "queries",
    about: "what a query costs more by way of the courier",
    trials: { full: 7, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      await site.untilDrained();
      await makeTrials(seen, site, measuring, async (number, keep) => {
        for (const [kind, query] of Object.entries(KINDS)) {
          const time = async (door: "straight" | "courier") => {
            const what = { query };
            const wish = { connections: 1, ms: SLICE_MS, requestsMax: QUERIES, what };
            return median((await runLoad(site, { door: site[door], ...wish })).latenciesMs);
          };
          // The first of two has colder caches: each is it as often.
          const straightFirst = number % 2 === 0;
          const first = await time(straightFirst ? "straight" : "courier");
          const second = await time(straightFirst ? "courier" : "straight");
          const [straightMs, courierMs] = straightFirst ? [first, second] : [second, first];
          measuring.say(
            `${kind}: ${straightMs.toFixed(2)} ms straight, ${courierMs.toFixed(2)} ms by the courier`,
          );
          keep({ kind, straightMs, courierMs });
        }
      });
    },
    made: () => (seen.understudy?.length ?? 0) / Object.keys(KINDS).length,
    figures: () => Object.keys(KINDS).flatMap((kind) => toFigures(kind, seen.understudy ?? [])),
    raw: () => seen,
  };
}

function toFigures(kind: string, trials: readonly Trial[]): Figure[] {
  const some = trials.filter((trial) => trial.kind === kind);
  if (some.length === 0) return [];
  const courier = median(some.map(({ courierMs }) => courierMs));
  const straight = median(some.map(({ straightMs }) => straightMs));
  return [
    figure(`a query of ${kind}, median`, courier, "ms", { baseline: straight }),
    figure(`a query of ${kind}: by the courier / straight`, courier / straight, "", {
      goal: { under: OVERHEAD_UNDER },
    }),
  ];
}
