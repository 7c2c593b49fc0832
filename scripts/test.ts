// npm test: `npm run ok`, then every lab scenario in turn, on real servers. Needs root.
// npm test -- WORD…: only scenarios whose file name has one of the words.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { renderFault } from "../src/base/fault.ts";
import { runOk } from "./ok.ts";

const TOP = join(import.meta.dirname, "..");
/** A single test that takes longer is stuck. */
const TEST_MS_MAX = 1_800_000;

async function main(words: string[]): Promise<number> {
  if (!(await runOk())) {
    console.log("not ok: the scenarios wait until that is mended");
    return 1;
  }
  const scenarios = pick(globSync("lab/scenarios/*.test.ts", { cwd: TOP }).sort(), words);
  if (scenarios.length === 0) {
    console.error(
      words.length === 0 ? "no scenarios" : `no scenario is called ${words.join(", ")}`,
    );
    return 1;
  }
  console.log(`\n${scenarios.length} scenarios on lab servers, one at a time:`);
  const options = ["--test-concurrency=1", "--test-reporter=spec", `--test-timeout=${TEST_MS_MAX}`];
  const child = spawn(process.execPath, ["--test", ...options, ...scenarios], {
    cwd: TOP,
    stdio: "inherit",
  });
  // Scenarios take their lab down on these, so they get the time to.
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => undefined);
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** The paths whose file name contains one of `words`; all without words. */
function pick(paths: string[], words: string[]): string[] {
  if (words.length === 0) return paths;
  return paths.filter((path) => words.some((word) => basename(path).includes(word)));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(renderFault(error));
  process.exitCode = 1;
}
