// A new agent's way to its certificate, which it is given at once (allowlist): `puppet ssl
// bootstrap`, and a whole first run. Baseline: straight at a stock puppetserver, as an installation
// without any of this.

import { Fault } from "../../src/base/fault.ts";
import { figure } from "../figure.ts";
import { filled, type Group, type Seen } from "../group.ts";
import { median, worst } from "../stats.ts";

const GOAL = { atMost: 4 };

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
    measure: async (site, { trials: count, say }) => {
      const trials: Trial[] = [];
      seen[site.kind] = trials;
      for (let number = 1; number <= count; number += 1) {
        const first = await site.newcomer(`new${number}`);
        const bootstrap = await first.ssl("bootstrap");
        if (!bootstrap.ok) throw new Fault("bench.no-agent", bootstrap.stdout + bootstrap.stderr);
        const second = await site.newcomer(`newer${number}`);
        const run = await second.run();
        if (!run.ok) throw new Fault("bench.no-agent", run.output);
        trials.push({ bootstrapMs: bootstrap.ms, firstRunMs: run.ms });
        const times = [bootstrap.ms, run.ms].map((ms) => (ms / 1000).toFixed(1));
        say(`${site.kind}: a certificate after ${times[0]} s; a first run in ${times[1]} s`);
      }
    },
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
        line("new agent: puppet ssl bootstrap, median", median, "bootstrapMs", true),
        line("new agent: puppet ssl bootstrap, worst", worst, "bootstrapMs", false),
        line("new agent: whole first run, median", median, "firstRunMs", false),
        line("new agent: whole first run, worst", worst, "firstRunMs", false),
      ];
    },
    raw: () => seen,
  };
}
