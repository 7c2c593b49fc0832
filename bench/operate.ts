// The claims about running it with confidence, as groups of figures that are measured together.

import { openCluster } from "../lab/cluster.ts";
import type { Bench, Stand } from "./bench.ts";
import { drills } from "./operate/drills.ts";
import { siteOf } from "./site.ts";

export function operateBench(): Bench {
  const ours: Stand = {
    about: "Understudy on three servers",
    kind: "understudy",
    groups: [drills()],
    open: async ({ say, signal }) => siteOf(await openCluster({ say, signal })),
  };
  return { name: "operate", about: "planned work, drills and what people see", stands: [ours] };
}
