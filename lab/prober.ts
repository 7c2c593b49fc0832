// Watches from a lab host's network whether an address takes TCP connections: how long was it gone?

import { join } from "node:path";
import { Fault } from "../src/base/fault.ts";
import { pause, until } from "../src/base/retry.ts";
import { type Attempt, findGaps, type Gap, longestGapMs } from "../src/drill/gaps.ts";
import type { Lab } from "./lab.ts";

const PROGRAM = join(import.meta.dirname, "prober-program.ts");
const FIRST_ANSWER_MS_MAX = 60_000;
/** Two servers that both want the address settle it within this. */
const AGAIN_MS = 2000;
const HOURS_MAX_MS = 6 * 3_600_000;

export interface ProbeOptions {
  /** The lab host from whose network it connects. */
  host: string;
  address: string;
  port: number;
  /** Milliseconds between attempts. Default 5. */
  everyMs?: number;
  /** Milliseconds until an attempt counts as failed. Default 100. */
  limitMs?: number;
}

export interface ProbeResult {
  attempts: number;
  failed: number;
  /** In order; times are ms since the epoch. */
  gaps: Gap[];
  longestGapMs: number;
  /** How late the prober itself was at worst: what a gap may owe to a busy machine. */
  worstStallMs: number;
}

export interface Prober extends AsyncDisposable {
  /** What was seen so far. */
  soFar(): ProbeResult;
  stop(): Promise<ProbeResult>;
}

/**
 * Starts probing and returns after the first success. Fault `base.deadline` when nothing answers
 * for 10 s.
 */
export async function startProber(lab: Lab, options: ProbeOptions): Promise<Prober> {
  const timing = [`${options.everyMs ?? 5}`, `${options.limitMs ?? 100}`];
  const argv = [process.execPath, PROGRAM, options.address, `${options.port}`, ...timing];
  const running = lab.startFromNetwork(argv, { host: options.host, withinMs: HOURS_MAX_MS });
  const soFar = () => summarize(running.output().stdout);
  try {
    await until(
      `${options.address}:${options.port} takes a connection`,
      () => running.output().stdout.includes("ok"),
      { withinMs: FIRST_ANSWER_MS_MAX, everyMs: 20 },
    );
  } catch (error) {
    running.kill();
    throw error;
  }
  return {
    soFar,
    stop: async () => {
      running.kill("SIGTERM");
      const ended = await running.done;
      if (ended.ok) return summarize(ended.stdout);
      throw new Fault("lab.prober", `the prober failed: ${ended.stderr.trim().slice(-500)}`);
    },
    [Symbol.asyncDispose]: async () => {
      running.kill();
      await running.done;
    },
  };
}

/**
 * Waits until the address is back that went after `atMs` (ms since the epoch), and a little longer,
 * for it may be gone again. Returns how long it was away in all, milliseconds. Fault
 * `base.deadline`.
 */
export async function awaitReturn(prober: Prober, atMs: number, withinMs: number): Promise<number> {
  const after = () => prober.soFar().gaps.filter(({ fromMs, ms }) => fromMs + ms > atMs);
  const isBack = () => {
    const gaps = after();
    return gaps.length > 0 && gaps.every(({ toMs }) => toMs !== undefined);
  };
  const options = { withinMs, everyMs: 100 };
  await until("the address's return", isBack, options);
  await pause(AGAIN_MS);
  await until("the address's return", isBack, options);
  return after().reduce((sum, { ms }) => sum + ms, 0);
}

/** Judges the prober program's output; a line that isn't whole yet is left out. */
export function summarize(text: string): ProbeResult {
  const attempts = parseAttempts(text);
  const gaps = findGaps(attempts);
  return {
    attempts: attempts.length,
    failed: attempts.filter(({ ok }) => !ok).length,
    gaps,
    longestGapMs: longestGapMs(gaps),
    worstStallMs: Number(/^stall ([\d.]+)$/m.exec(text)?.[1] ?? 0),
  };
}

/** Reads lines "START END ok|failed". */
export function parseAttempts(text: string): Attempt[] {
  return [...text.matchAll(/^(\d+\.\d+) (\d+\.\d+) (ok|failed)$/gm)].map((match) => ({
    startMs: Number(match[1]),
    endMs: Number(match[2]),
    ok: match[3] === "ok",
  }));
}
