// A new agent's way to its certificate, which it is given at once (allowlist): `puppet ssl
// bootstrap`, and a whole first run. Baseline: straight at a stock puppetserver, as an installation
// without any of this.

import { Fault } from "../../src/base/fault.ts";
import { figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import { median, worst } from "../stats.ts";

const GOAL = { atMost: 4 };
/** Where stock puppetserver keeps an agent waiting. */
const CERTIFICATE = "a new agent's way to its certificate (puppet ssl bootstrap)";

interface Trial {
  bootstrapMs: number;
  firstRunMs: number;
}

export function firstRun(): Group {
  const seen: Seen<Trial[]> = {};
  return {
    name: "first-run",
    about: "how long a new agent takes to get its certificate, and to end its first run",
    trials: { full: 5, quick: 1, baseline: 2 },
    measure: async (site, measuring) => {
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const first = await site.newcomer(`new${number}`);
        const bootstrap = await first.ssl("bootstrap");
        if (!bootstrap.ok) throw new Fault("bench.no-agent", bootstrap.stdout + bootstrap.stderr);
        const second = await site.newcomer(`newer${number}`);
        const run = await second.run();
        if (!run.ok) throw new Fault("bench.no-agent", run.output);
        keep({ bootstrapMs: bootstrap.ms, firstRunMs: run.ms });
        const times = [bootstrap.ms, run.ms].map((ms) => (ms / 1000).toFixed(1));
        const said = `a certificate after ${times[0]} s; a whole first run in ${times[1]} s`;
        measuring.say(`${site.kind}: ${said}`);
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      const theirs = filled(seen.baseline);
      if (ours === undefined) return [];
      const line = (
        name: string,
        of: (list: number[]) => number,
        key: keyof Trial,
        goal: boolean,
      ) => {
        const values = (trials: readonly Trial[]) => trials.map((trial) => trial[key] / 1000);
        return figure(name, of(values(ours)), "s", {
          baseline: theirs && of(values(theirs)),
          ...(goal ? { goal: GOAL } : {}),
        });
      };
      return [
        line(`${CERTIFICATE}, median`, median, "bootstrapMs", true),
        line(`${CERTIFICATE}, worst`, worst, "bootstrapMs", false),
        line("a new agent's whole first run, catalog applied, median", median, "firstRunMs", true),
        line("a new agent's whole first run, catalog applied, worst", worst, "firstRunMs", false),
      ];
    },
    raw: () => seen,
  };
}
