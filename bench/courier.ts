// The claims about the courier, beside PuppetDB itself.

import type { Bench, Stand } from "./bench.ts";
import { acknowledgement } from "./courier/acknowledge.ts";
import { queries } from "./courier/queries.ts";
import { type CourierSite, openCouriers } from "./courier/site.ts";
import { openPair, type PairSite, rebuild } from "./courier/rebuild.ts";
import { spool } from "./courier/spool.ts";

export function courierBench(): Bench {
  const stands: Stand<CourierSite>[] = [
    {
      about: "Understudy on two servers, each with a PuppetDB",
      kind: "understudy",
      groups: [acknowledgement(), queries(), spool()],
      open: openCouriers,
    },
  ];
  const pair: Stand<PairSite> = {
    about: "Two PuppetDBs, one of them empty again and again",
    kind: "understudy",
    groups: [rebuild()],
    open: openPair,
  };
  const about = "the courier, beside PuppetDB itself";
  return { name: "courier", about, stands: [...stands, pair] };
}
