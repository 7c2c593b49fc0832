// The claims about running it with confidence, as groups of figures that are measured together.

import { openCluster } from "../lab/cluster.ts";
import type { Bench, Stand } from "./bench.ts";
import { dashboard } from "./operate/dashboard.ts";
import { drills, openWithPuppetdbs, puppetdbDrill } from "./operate/drills.ts";
import { type NineSite, openNine, status } from "./operate/status.ts";
import { rollingRestart, switchovers } from "./operate/planned.ts";
import { siteOf } from "./site.ts";

export function operateBench(): Bench {
  const ours: Stand = {
    about: "Understudy on three servers",
    kind: "understudy",
    groups: [switchovers(), rollingRestart(), drills(), dashboard()],
    open: async ({ say, signal }) => siteOf(await openCluster({ say, signal })),
  };
  const pair: Stand = {
    about: "Understudy on three servers, two of them with a PuppetDB",
    kind: "understudy",
    groups: [puppetdbDrill()],
    open: openWithPuppetdbs,
  };
  const nine: Stand<NineSite> = {
    about: "Understudy on three servers with 100,000 certificates, and six compilers",
    kind: "understudy",
    groups: [status()],
    open: openNine,
  };
  return {
    name: "operate",
    about: "planned work, drills and what people see",
    stands: [ours, pair, nine],
  };
}
