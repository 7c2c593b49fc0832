// The claims of the README about failover, as groups of figures that are measured together.

import { compileKills } from "./failover/compile-kills.ts";
import { edgeCost } from "./failover/edge-cost.ts";
import { firstRun } from "./failover/first-run.ts";
import { footprint } from "./failover/footprint.ts";
import { powerCutRuns } from "./failover/power-cut-runs.ts";
import { vipGap } from "./failover/vip-gap.ts";
import { openCluster } from "../lab/cluster.ts";
import { openBaseline } from "./baseline/open.ts";
import type { Bench, Stand } from "./bench.ts";
import type { Group } from "./group.ts";
import { type Site, siteOf } from "./site.ts";

/** In the order in which they are measured: what wants a calm cluster first. */
export function failoverGroups(): Group[] {
  return [footprint(), firstRun(), edgeCost(), compileKills(), vipGap(), powerCutRuns()];
}

/** First the hand-assembled design, then three servers of ours. */
export function failoverBench(): Bench {
  const groups = failoverGroups();
  const baseline: Stand<Site> = {
    about: "The baseline: keepalived, HAProxy in TCP mode, the CA on one server",
    kind: "baseline",
    groups,
    open: ({ say, signal }) => openBaseline(say, signal),
  };
  const ours: Stand<Site> = {
    about: "Understudy on three servers",
    kind: "understudy",
    groups,
    open: async ({ say, signal }) => siteOf(await openCluster({ say, signal })),
  };
  return {
    name: "failover",
    about: "what a death costs agents, beside the hand-assembled design (more than an hour)",
    stands: [baseline, ours],
  };
}
