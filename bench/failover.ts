// The claims of the README about failover, as groups of figures that are measured together.

import { compileKills } from "./failover/compile-kills.ts";
import { edgeCost } from "./failover/edge-cost.ts";
import { firstRun } from "./failover/first-run.ts";
import { footprint } from "./failover/footprint.ts";
import { powerCutRuns } from "./failover/power-cut-runs.ts";
import { vipGap } from "./failover/vip-gap.ts";
import type { Group } from "./group.ts";

/** In the order in which they are measured: what wants a calm cluster first. */
export function failoverGroups(): Group[] {
  return [footprint(), firstRun(), edgeCost(), compileKills(), vipGap(), powerCutRuns()];
}
