// The claims about the courier, beside PuppetDB itself.

import type { Bench, Stand } from "./bench.ts";
import { acknowledgement } from "./courier/acknowledge.ts";
import { queries } from "./courier/queries.ts";
import { type CourierSite, openCouriers } from "./courier/site.ts";
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
  return { name: "courier", about: "the courier, beside PuppetDB itself", stands };
}
