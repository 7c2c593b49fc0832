// Init and join as a list of steps. Each may be run again: it finds what is done and goes on, so an
// interrupted command is repeated and finishes.

import { Fault, messageOf } from "../base/fault.ts";
import type { Stage } from "../base/stages.ts";
import { monotonicMs } from "../host/clock.ts";

type Report = (detail: string) => void;

export interface Step {
  title: string;
  /**
   * Does the step, or finds it done. Returns a word or two about the outcome, if there is more to
   * say. `took`: the steps before it.
   */
  run(report: Report, took: readonly Stage[]): Promise<string | undefined>;
  /** Undoes what may not stay when the step fails; returns what is so then, in lines. */
  giveBack?: (report: Report) => Promise<string[]>;
  /** Whether it runs even so when the command was interrupted: agents wait for it. */
  always?: boolean;
}

/**
 * Runs the steps in order; the first that throws ends it, and so does `signal` before one that may
 * wait: Fault `setup.interrupted`.
 */
export async function runSteps(
  steps: readonly Step[],
  print: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const report = (text: string) => print(`   … ${text}`);
  const took: Stage[] = [];
  for (const step of steps) {
    const startMs = monotonicMs();
    let detail: string | undefined;
    try {
      if (signal?.aborted === true && step.always !== true) throw interrupted();
      detail = await step.run(report, took);
    } catch (error) {
      const said = (await step.giveBack?.(report)) ?? [];
      print(` ✗ ${step.title}`);
      throw said.length === 0 ? error : withHints(error, said);
    }
    const ms = monotonicMs() - startMs;
    took.push({ what: step.title.slice(0, 80), ms });
    const seconds = (ms / 1000).toFixed(1);
    const title = detail === undefined ? step.title : `${step.title}: ${detail}`;
    print(` ✓ ${title.padEnd(60)} ${seconds.padStart(6)} s`);
  }
}

/**
 * Aborts at the first Ctrl-C, request to end, or loss of the terminal, so that the running step
 * ends in order; a second Ctrl-C or request ends the program.
 */
export function onInterruption(print: (line: string) => void): AbortSignal {
  const controller = new AbortController();
  const end = () => {
    print("   … this step ends first; once more ends it at once");
    controller.abort();
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, end);
  // Of a lost terminal the shell and sudo each tell: that is nobody's second wish.
  process.on("SIGHUP", end);
  return controller.signal;
}

function interrupted(): Fault {
  return new Fault("setup.interrupted", "it was interrupted before this step", {
    hints: ["The same command goes on."],
  });
}

function withHints(error: unknown, lines: string[]): Fault {
  const { code, hints } = error instanceof Fault ? error : { code: "internal", hints: [] };
  return new Fault(code, messageOf(error), { hints: [...hints, ...lines], cause: error });
}
