// npm run bench -- NAME: measures claims in the lab, prints a table, writes out/bench/NAME.json.
// Opens one set-up after the other, each in a lab of its own, and measures its groups. Exits 0 when
// it could measure, met or not.

import { relative } from "node:path";
import { parseArgs } from "node:util";
import { Fault, messageOf, renderFault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { bootDead } from "../lab/cluster.ts";
import { orInterrupted, runInterruptible } from "../lab/interrupt.ts";
import { type Bench, groupsOf, selectStands, type Stand } from "./bench.ts";
import { caBench } from "./ca.ts";
import { courierBench } from "./courier.ts";
import { failoverBench } from "./failover.ts";
import { operateBench } from "./operate.ts";
import { type Group, judgedFigures, type Measuring } from "./group.ts";
import { describeMachine, type Machine } from "./machine.ts";
import { renderReport, type Report, writeReport } from "./report.ts";
import type { BareSite } from "./site.ts";

const begun = monotonicMs();

interface Options {
  name: string;
  stands: Stand[];
  trials: number | undefined;
  quick: boolean;
  baseline: boolean;
}

function say(line: string): void {
  console.log(`${((monotonicMs() - begun) / 1000).toFixed(1).padStart(7)} s  ${line}`);
}

function help(benches: readonly Bench[]): string {
  const line = (name: string, about: string) => `  ${name.padEnd(16)} ${about}`;
  const blocks = benches.map((bench) => {
    const groups = groupsOf(bench).map(({ name, about }) => line(name, about));
    return [line(bench.name, `all of these: ${bench.about}`), ...groups].join("\n");
  });
  return `Usage: npm run bench -- NAME [OPTION]

Names:
${blocks.join("\n\n")}

  --trials N       this many trials of each (both of the baseline and of Understudy)
  --quick          few trials, to see that it works: too few to call a goal met
  --no-baseline    leave the baseline out
  --help           this text

Result: out/bench/NAME.json, and every trial in out/bench/NAME.trials.json.
Exit code: 0 measured, whether goals are met or not; 1 something could not be measured.
`;
}

async function main(signal: AbortSignal): Promise<number> {
  const benches = [failoverBench(), caBench(), courierBench(), operateBench()];
  const options = readOptions(benches);
  if (options === undefined) {
    process.stdout.write(help(benches));
    return 0;
  }
  const failures: string[] = [];
  const groups = groupsOf(options);
  let machine: Machine | undefined;
  const keep = async () => {
    // What was measured is kept, whatever becomes of the next group.
    if (machine === undefined) return undefined;
    const trials = Math.max(...groups.map((group) => group.made()));
    const report = { figures: groups.flatMap(judgedFigures), machine, trials };
    return { report, path: await keepReport(options.name, groups, report) };
  };
  for (const stand of options.stands) {
    const some = stand.groups.filter((group) => trialsOf(group, options, stand.kind) > 0);
    if (some.length === 0 || (stand.kind === "baseline" && !options.baseline)) continue;
    say(stand.about);
    const site = await stand.open({ say, signal });
    try {
      machine = await describeMachine(site.servers[0] ?? site.agentHost);
      const work = measureAll(site, some, { ...options, signal }, failures, keep);
      await orInterrupted(work, signal);
    } finally {
      await site.lab.down();
    }
  }
  const kept = await keep();
  if (kept !== undefined) {
    const { report, path } = kept;
    console.log(`\n${renderReport(report)}\n\nResult: ${relative(process.cwd(), path)}`);
  }
  for (const failure of failures) console.error(`could not be measured: ${failure}`);
  return failures.length === 0 ? 0 : 1;
}

function readOptions(benches: readonly Bench[]): Options | undefined {
  const options = {
    trials: { type: "string" },
    quick: { type: "boolean" },
    "no-baseline": { type: "boolean" },
    help: { type: "boolean", short: "h" },
  } as const;
  const hints = ["npm run bench -- --help lists what there is"];
  const refuse = (why: string) => new Fault("bench.bad-option", why, { hints });
  let given;
  try {
    given = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw refuse(messageOf(error));
  }
  const { values, positionals } = given;
  const [name, ...more] = positionals;
  if (values.help === true || name === undefined) return undefined;
  const stands = selectStands(benches, name);
  if (stands === undefined || more.length > 0)
    throw refuse(`there is no bench "${positionals.join(" ")}"`);
  const trials = values.trials === undefined ? undefined : Number(values.trials);
  if (trials !== undefined && !(Number.isInteger(trials) && trials > 0)) {
    throw refuse(`--trials ${values.trials}: a whole number above 0`);
  }
  const baseline = values["no-baseline"] !== true;
  return { name, stands, trials, quick: values.quick === true, baseline };
}

function trialsOf(group: Group<BareSite>, options: Options, kind: BareSite["kind"]): number {
  const { full, quick, baseline } = group.trials;
  if (kind === "baseline" && baseline === 0) return 0;
  if (options.trials !== undefined) return options.trials;
  if (options.quick) return quick;
  return kind === "baseline" ? baseline : full;
}

/** Measures group after group. One that fails is noted, and the next ones still get their turn. */
async function measureAll(
  site: BareSite,
  groups: readonly Group<BareSite>[],
  options: Options & { signal: AbortSignal },
  failures: string[],
  onMeasured: () => Promise<unknown>,
): Promise<void> {
  for (const group of groups) {
    if (options.signal.aborted) return;
    const measuring: Measuring = { trials: trialsOf(group, options, site.kind), say };
    say(`${site.kind}: ${group.about}`);
    try {
      await group.measure(site, measuring);
    } catch (error) {
      if (options.signal.aborted) return;
      failures.push(`${group.name} on ${site.kind}: ${messageOf(error)}`);
      console.error(renderFault(error));
      await bootDead(site.servers).catch((failure: unknown) => {
        failures.push(`after it, on ${site.kind}: ${messageOf(failure)}`);
      });
    }
    await onMeasured();
  }
}

async function keepReport(
  name: string,
  groups: readonly Group<BareSite>[],
  report: Report,
): Promise<string> {
  const raw = Object.fromEntries(groups.map((group) => [group.name, group.raw()]));
  return writeReport(name, report, raw);
}

await runInterruptible(main);
