// npm test: `npm run ok -- --long`, then every lab scenario in turn, on real servers. Needs root.
// npm test -- WORD…: only scenarios whose file name has one of the words. npm test -- --long: also
// *.long.test.ts, for which an hour and a half would not do. Those in scenarios/cluster share one
// cluster of three servers, since three puppetservers take minutes to boot; the others bring hosts
// of their own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { INTERRUPTED, watchInterruption } from "../lab/interrupt.ts";
import { refuseOthersLab, takeLabDown } from "../lab/lab.ts";
import { isFault, renderFault } from "../src/base/fault.ts";
import { until } from "../src/base/retry.ts";
import { runOk } from "./ok.ts";

const TOP = join(import.meta.dirname, "..");
const SHARING = join("lab", "scenarios", "cluster");
const LONG = /\.long\.test\.ts$/;
/** A single test that takes longer is stuck. */
const TEST_MS_MAX = 1_800_000;
const CLEAR_MS_MAX = 120_000;
/** Told to end, it begins nothing more and clears up after the scenario that went on. */
const interruption = watchInterruption();

async function main(argv: string[]): Promise<number> {
  const words = argv.filter((word) => word !== "--long");
  const long = words.length < argv.length;
  const { signal } = interruption;
  if (!(await runOk({ long: true, signal }))) {
    if (!signal.aborted) console.log("not ok: the scenarios wait until that is mended");
    return 1;
  }
  const scenarios = pick(
    globSync("lab/scenarios/{,cluster/}*.test.ts", { cwd: TOP }).sort(),
    words,
    long,
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
  await refuseOthersLab();
  await takeLabDown(() => undefined);
  const sharing = { UNDERSTUDY_LAB_KEEP: "1", UNDERSTUDY_LAB_OWNER: `${process.pid}` };
  const codes = [await runTests(shared, sharing)];
  await clearAfter();
  codes.push(await runTests(own, {}));
  if (interruption.signal.aborted) await clearAfter();
  return codes.find((code) => code !== 0) ?? 0;
}

/**
 * Takes down what scenarios left. Node's test runner doesn't wait for those that it was told to
 * end, which are taking theirs down just then.
 */
async function clearAfter(): Promise<void> {
  const isFree = async () => {
    try {
      await takeLabDown(() => undefined);
      return true;
    } catch (error) {
      if (interruption.signal.aborted && isFault(error, "lab.busy")) return false;
      throw error;
    }
  };
  await until("scenarios have taken their lab down", isFree, { withinMs: CLEAR_MS_MAX });
}

/** Runs test files one after the other. Returns the exit code; 0 when this process shall end. */
async function runTests(paths: readonly string[], env: Record<string, string>): Promise<number> {
  const { signal } = interruption;
  if (paths.length === 0 || signal.aborted) return 0;
  const options = ["--test-concurrency=1", "--test-reporter=spec", `--test-timeout=${TEST_MS_MAX}`];
  const child = spawn(process.execPath, ["--test", ...options, ...paths], {
    cwd: TOP,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  // Scenarios take their lab down on it. ^C reaches them from the terminal.
  const pass = () => {
    const name = interruption.by();
    if (name !== "SIGINT" || !process.stdin.isTTY) child.kill(name);
  };
  signal.addEventListener("abort", pass, { once: true });
  const [code] = (await once(child, "exit")) as [number | null];
  signal.removeEventListener("abort", pass);
  return code ?? 1;
}

/** The paths whose file name contains one of `words`; without words all, long ones if wanted. */
function pick(paths: string[], words: string[], long: boolean): string[] {
  if (words.length === 0) return paths.filter((path) => long || !LONG.test(path));
  return paths.filter((path) => words.some((word) => basename(path).includes(word)));
}

try {
  const code = await main(process.argv.slice(2));
  process.exitCode = interruption.signal.aborted ? INTERRUPTED : code;
} catch (error) {
  console.error(renderFault(error));
  process.exitCode = 1;
}
