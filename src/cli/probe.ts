// understudy probe: catalogs as an agent gets them, once or again and again.

import type { Command } from "commander";
import { z } from "zod";
import { parseDuration } from "../base/duration.ts";
import { oneLine } from "../base/printable.ts";
import { pause } from "../base/retry.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { ProbeAnswer } from "../setup/drill-contract.ts";
import { untilInterrupted } from "./interrupted.ts";
import { check } from "./options.ts";
import { createOutput, EXIT } from "./output.ts";

/** Longer than the synthetic agent waits for a catalog. */
const ASK_MS = 150_000;
const BECAUSE_MAX = 200;
const Every = z
  .string()
  .transform(parseDuration)
  .pipe(z.number().min(1, "at least 1s").max(3600, "at most 1h"));

interface Flags {
  once?: boolean;
  every: string;
  json?: boolean;
}

export function addProbe(program: Command): void {
  program
    .command("probe")
    .description("ask for catalogs as an agent does, and say how that went")
    .option("--once", "one catalog; the exit code says whether it came")
    .option("--every <time>", "how often, as in 5s", "1s")
    .option("--json", "print JSON, a line each")
    .addHelpText("after", HELP)
    .action(probe);
}

const HELP = `
  understudy probe --once
  understudy probe --every 5s

A new connection each time, to the first virtual IP or else the shared name, with a certificate of its own
(understudy-probe.SERVER) that is made at the first time. Its catalog is what your site gives a node of that name; couriers
keep nothing of it. All the time, on every server: understudy config set probeEveryS 60s. See /usr/share/doc/understudy/drills.md.

Exit code: 0 every catalog came; 1 one didn't, or this server's daemon can't be asked.`;

async function probe(flags: Flags): Promise<void> {
  const everyMs = check(Every, "--every", flags.every) * 1000;
  const output = createOutput(flags.json === true);
  const stop = untilInterrupted();
  const took: number[] = [];
  let failed = 0;
  do {
    const answer = await callDaemon("POST", "/v1/probe", { answer: ProbeAnswer, withinMs: ASK_MS });
    if (answer.ok) took.push(answer.ms);
    else failed += 1;
    const line = flags.json === true ? JSON.stringify(answer) : describeProbe(answer, wallMs());
    process.stdout.write(`${line}\n`);
    if (flags.once !== true) await pause(everyMs, stop);
  } while (flags.once !== true && !stop.aborted);
  if (flags.once !== true) output.progress(describeAll(took, failed));
  process.exitCode = failed > 0 ? EXIT.failed : EXIT.ok;
}

/** One catalog as a line for people. */
export function describeProbe({ ok, because, ms, target }: ProbeAnswer, nowMs: number): string {
  const time = isoTime(nowMs).slice(11, 19);
  const how = ok
    ? `catalog in ${ms} ms`
    : `no catalog after ${ms} ms: ${oneLine(because, BECAUSE_MAX)}`;
  return `${time} UTC  ${target}  ${how}`;
}

/** All of them in one line. */
export function describeAll(took: readonly number[], failed: number): string {
  const sorted = took.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  const times = median === undefined ? "" : `, median ${median} ms, slowest ${sorted.at(-1)} ms`;
  return `${took.length + failed} asked for, ${failed} failed${times}`;
}
