// npm run ok: what must hold before every commit, in less than a minute and without root. With
// --long also the tests of *.long.test.ts: fuzzers, and many real HAProxies and etcds that die and
// hang.

import { existsSync, globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { renderFault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { tryRun } from "../src/host/process.ts";
import { ensureBrowser } from "./browser.ts";
import { ensureTools } from "./tools.ts";

const TOP = join(import.meta.dirname, "..");
const BIN = join(TOP, "node_modules", ".bin");
/** Each test file is a process of its own that loads much the same modules. */
const COMPILE_CACHE = join(TOP, ".cache", "compile");
const STEP_MS_MAX = 900_000;

/** Where unit tests lie. lab/scenarios needs root and is not among them. */
const UNIT_TESTS = [
  "src/**/*.test.ts",
  "lab/*.test.ts",
  "lab/{cluster,demo,torture}/*.test.ts",
  "bench/**/*.test.ts",
  "scripts/**/*.test.ts",
  "packaging/**/*.test.ts",
  "web/**/*.test.ts",
];

const LONG_TEST = /\.long\.test\.ts$/;

interface Step {
  name: string;
  argv: string[];
}

/**
 * Runs every step, also after one has failed, and prints a verdict for each. Returns whether all
 * hold. `signal` ends it with the step that goes on.
 */
export async function runOk(options: { long: boolean; signal?: AbortSignal }): Promise<boolean> {
  const { long, signal } = options;
  const say = (line: string) => console.log(`   ${line}`);
  await ensureTools(say);
  await ensureBrowser(say);
  const outcomes: boolean[] = [];
  for (const step of steps(long)) {
    if (signal?.aborted === true) return false;
    outcomes.push(await runStep(step, signal));
  }
  return outcomes.every(Boolean);
}

function steps(long: boolean): Step[] {
  const tests = globSync(UNIT_TESTS, { cwd: TOP })
    .filter((path) => long || !LONG_TEST.test(path))
    .sort(longFirst);
  // Most tests wait for programs that they started.
  const concurrency = `--test-concurrency=${3 * availableParallelism()}`;
  return [
    { name: "format", argv: [join(BIN, "oxfmt"), "--check", "."] },
    { name: "lint", argv: [join(BIN, "oxlint"), "--type-aware"] },
    { name: "types", argv: [join(BIN, "tsc"), "-p", "."] },
    { name: "web types", argv: [join(BIN, "tsc"), "-p", "web", "--noEmit"] },
    { name: "web build", argv: [process.execPath, "web/build.ts"] },
    {
      name: "unit tests",
      argv: [process.execPath, "--test", concurrency, "--test-reporter=spec", ...tests],
    },
  ];
}

/** Those that wait long for etcd and HAProxy come first, or the others wait for them in the end. */
function longFirst(a: string, b: string): number {
  const rank = (path: string) =>
    LONG_TEST.test(path) ? 0 : /^src.(daemon|edge|etcd)./.test(path) ? 1 : 2;
  return rank(a) - rank(b) || a.localeCompare(b);
}

async function runStep(step: Step, signal?: AbortSignal): Promise<boolean> {
  const start = monotonicMs();
  const result = await tryRun(step.argv, {
    cwd: TOP,
    withinMs: STEP_MS_MAX,
    env: environment(),
    ...(signal === undefined ? {} : { signal }),
  });
  if (signal?.aborted === true) return false;
  const seconds = `${((monotonicMs() - start) / 1000).toFixed(1)} s`;
  const output = `${result.stdout}${result.stderr}`.trimEnd();
  const detail = step.name === "unit tests" ? `, ${summaryOf(output)}` : "";
  console.log(` ${result.ok ? "✓" : "✗"} ${step.name.padEnd(12)} ${seconds}${detail}`);
  if (result.timedOut) console.log(`   stopped after ${STEP_MS_MAX / 1000} s`);
  if (!result.ok) console.log(step.name === "unit tests" ? failuresOf(output) : output);
  return result.ok;
}

function environment(): NodeJS.ProcessEnv {
  const ours = { NO_COLOR: "1", NODE_COMPILE_CACHE: COMPILE_CACHE };
  const env: NodeJS.ProcessEnv = { ...process.env, ...ours };
  delete env["FORCE_COLOR"];
  // Set when we run inside a test of our own; it would change the runner's output.
  delete env["NODE_TEST_CONTEXT"];
  return env;
}

/** "12 passed, 0 failed" out of the closing lines of node's spec reporter. */
export function summaryOf(output: string): string {
  const count = (what: string) =>
    new RegExp(`^ℹ ${what} (\\d+)$`, "m").exec(output)?.[1] ?? "unknown";
  return `${count("pass")} passed, ${count("fail")} failed`;
}

/** The part of node's spec output that tells of failures; all of it when that part isn't there. */
export function failuresOf(output: string): string {
  const start = output.indexOf("✖ failing tests:");
  return start < 0 ? output : output.slice(start);
}

if (import.meta.main) {
  try {
    if (!existsSync(BIN)) throw new Error("npm packages are missing: npm run ok installs them");
    const ok = await runOk({ long: process.argv.includes("--long") });
    console.log(ok ? "ok" : "not ok");
    process.exitCode = ok ? 0 : 1;
  } catch (error) {
    console.error(renderFault(error));
    process.exitCode = 1;
  }
}
