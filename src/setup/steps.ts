// Init and join as a list of steps. Each may be run again: it finds what is done and goes on, so an
// interrupted command is repeated and finishes.

import { monotonicMs } from "../host/clock.ts";

export interface Step {
  title: string;
  /**
   * Does the step, or finds it done. Returns a word or two about the outcome, if there is more to
   * say.
   */
  run(report: (detail: string) => void): Promise<string | undefined>;
}

/** Runs the steps in order; the first that throws ends it. */
export async function runSteps(
  steps: readonly Step[],
  print: (line: string) => void,
): Promise<void> {
  for (const step of steps) {
    const startMs = monotonicMs();
    let detail: string | undefined;
    try {
      detail = await step.run((text) => print(`   … ${text}`));
    } catch (error) {
      print(` ✗ ${step.title}`);
      throw error;
    }
    const seconds = ((monotonicMs() - startMs) / 1000).toFixed(1);
    const title = detail === undefined ? step.title : `${step.title}: ${detail}`;
    print(` ✓ ${title.padEnd(60)} ${seconds.padStart(6)} s`);
  }
}
