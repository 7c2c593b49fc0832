// npm run bench -- NAME: measures claims in the lab, prints a table, writes out/bench/NAME.json.
// Measures the baseline first, in a lab of its own, then Understudy. Exits 0 when it could measure,
// met or not.

import { relative } from "node:path";
import { parseArgs } from "node:util";
import { Fault, messageOf, renderFault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { bootDead, openCluster } from "../lab/cluster.ts";
import { orInterrupted, runInterruptible } from "../lab/interrupt.ts";
import { openBaseline } from "./baseline/open.ts";
import { failoverGroups } from "./failover.ts";
import { type Group, judgedFigures, type Measuring } from "./group.ts";
import { describeMachine } from "./machine.ts";
import { renderReport, type Report, writeReport } from "./report.ts";
import { type Site, siteOf } from "./site.ts";

const begun = monotonicMs();

interface Options {
  name: string;
  groups: Group[];
  trials: number | undefined;
  quick: boolean;
  baseline: boolean;
}

function say(line: string): void {
  console.log(`${((monotonicMs() - begun) / 1000).toFixed(1).padStart(7)} s  ${line}`);
}

function help(): string {
  const groups = failoverGroups();
  const lines = groups.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`);
  return `Usage: npm run bench -- NAME [OPTION]

Names:
  failover         all of these, in one go (more than an hour)
${lines.join("\n")}

  --trials N       this many trials of each (both of the baseline and of Understudy)
  --quick          few trials, to see that it works: too few to call a goal met
  --no-baseline    leave the hand-assembled design out
  --help           this text

Result: out/bench/NAME.json, and every trial in out/bench/NAME.trials.json.
Exit code: 0 measured, whether goals are met or not; 1 something could not be measured.
`;
}

async function main(signal: AbortSignal): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(help());
    return 0;
  }
  const failures: string[] = [];
  const baselineGroups = options.groups.filter((group) => trialsOf(group, options, "baseline") > 0);
  if (options.baseline && baselineGroups.length > 0) {
    say("The baseline: keepalived, HAProxy in TCP mode, the CA on one server");
    const baseline = await openBaseline(say, signal);
    try {
      const work = measureAll(baseline, baselineGroups, { ...options, signal }, failures);
      await orInterrupted(work, signal);
    } finally {
      await baseline.lab.down();
    }
  }
  say("Understudy on three servers");
  const cluster = await openCluster({ say, signal });
  try {
    const machine = await describeMachine(cluster.first);
    const soFar = (): Report => ({
      figures: options.groups.flatMap(judgedFigures),
      machine,
      trials: Math.max(...options.groups.map((group) => group.made())),
    });
    const site = siteOf(cluster);
    // What was measured is kept, whatever becomes of the next group.
    const keep = async () => void (await keepReport(options, soFar()));
    await orInterrupted(
      measureAll(site, options.groups, { ...options, signal }, failures, keep),
      signal,
    );
    const path = await keepReport(options, soFar());
    console.log(`\n${renderReport(soFar())}\n\nResult: ${relative(process.cwd(), path)}`);
  } finally {
    await cluster.down();
  }
  for (const failure of failures) console.error(`could not be measured: ${failure}`);
  return failures.length === 0 ? 0 : 1;
}

function readOptions(): Options | undefined {
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
  const all = failoverGroups();
  const groups = name === "failover" ? all : all.filter((group) => group.name === name);
  if (groups.length === 0 || more.length > 0)
    throw refuse(`there is no bench "${positionals.join(" ")}"`);
  const trials = values.trials === undefined ? undefined : Number(values.trials);
  if (trials !== undefined && !(Number.isInteger(trials) && trials > 0)) {
    throw refuse(`--trials ${values.trials}: a whole number above 0`);
  }
  const baseline = values["no-baseline"] !== true;
  return { name, groups, trials, quick: values.quick === true, baseline };
}

function trialsOf(group: Group, options: Options, kind: Site["kind"]): number {
  const { full, quick, baseline } = group.trials;
  if (kind === "baseline" && baseline === 0) return 0;
  if (options.trials !== undefined) return options.trials;
  if (options.quick) return quick;
  return kind === "baseline" ? baseline : full;
}

/** Measures group after group. One that fails is noted, and the next ones still get their turn. */
async function measureAll(
  site: Site,
  groups: readonly Group[],
  options: Options & { signal: AbortSignal },
  failures: string[],
  onMeasured: () => Promise<void> = async () => undefined,
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

async function keepReport(options: Options, report: Report): Promise<string> {
  const raw = Object.fromEntries(options.groups.map((group) => [group.name, group.raw()]));
  return writeReport(options.name, report, raw);
}

await runInterruptible(main);
