// npm test: `npm run ok`, then every lab scenario in turn, on real servers. Needs root. npm test --
// WORD…: only scenarios whose file name has one of the words. Those in scenarios/cluster share one
// cluster of three servers, since three puppetservers take minutes to boot; the others bring hosts
// of their own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { refuseKeptLab, takeLabDown } from "../lab/lab.ts";
import { renderFault } from "../src/base/fault.ts";
import { runOk } from "./ok.ts";

const TOP = join(import.meta.dirname, "..");
const SHARING = join("lab", "scenarios", "cluster");
/** A single test that takes longer is stuck. */
const TEST_MS_MAX = 1_800_000;

async function main(words: string[]): Promise<number> {
  if (!(await runOk())) {
    console.log("not ok: the scenarios wait until that is mended");
    return 1;
  }
  const scenarios = pick(
    globSync("lab/scenarios/{,cluster/}*.test.ts", { cwd: TOP }).sort(),
    words,
  );
  if (scenarios.length === 0) {
    console.error(
      words.length === 0 ? "no scenarios" : `no scenario is called ${words.join(", ")}`,
    );
    return 1;
  }
  console.log(`\n${scenarios.length} scenarios on lab servers, one at a time:`);
  const shared = scenarios.filter((path) => dirname(path) === SHARING);
  const own = scenarios.filter((path) => !shared.includes(path));
  // Somebody's own, or leftovers, would be taken for the shared one.
  await refuseKeptLab();
  await takeLabDown(() => undefined);
  const codes = [await runTests(shared, { UNDERSTUDY_LAB_KEEP: "1" })];
  await takeLabDown(() => undefined);
  if (stopped === undefined) codes.push(await runTests(own, {}));
  return codes.find((code) => code !== 0) ?? 0;
}

/** Runs test files one after the other. Returns the exit code. */
async function runTests(paths: readonly string[], env: Record<string, string>): Promise<number> {
  if (paths.length === 0) return 0;
  const options = ["--test-concurrency=1", "--test-reporter=spec", `--test-timeout=${TEST_MS_MAX}`];
  const child = spawn(process.execPath, ["--test", ...options, ...paths], {
    cwd: TOP,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  stop = (signal) => child.kill(signal);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** The paths whose file name contains one of `words`; all without words. */
function pick(paths: string[], words: string[]): string[] {
  if (words.length === 0) return paths;
  return paths.filter((path) => words.some((word) => basename(path).includes(word)));
}

let stopped: NodeJS.Signals | undefined;
let stop: (signal: NodeJS.Signals) => void = () => undefined;
// Scenarios take their lab down on these, so they get the time to. INT reaches them from the
// terminal.
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
  process.on(signal, () => {
    stopped = signal;
    if (signal !== "SIGINT") stop(signal);
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(renderFault(error));
  process.exitCode = 1;
}
