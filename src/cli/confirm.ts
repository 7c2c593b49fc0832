// The question before an act that can't be taken back.

import { createInterface } from "node:readline/promises";
import { Fault } from "../base/fault.ts";
import type { Output } from "./output.ts";

/**
 * Prints `lines` and has `id` typed, unless --yes was given: whoever is asked sees them with --json
 * too. Throws Fault `cli.not-confirmed`.
 */
export async function confirm(
  lines: string[],
  id: string,
  flags: { yes?: boolean },
  output: Output,
): Promise<void> {
  if (flags.yes === true) {
    for (const line of lines) output.progress(line);
    return;
  }
  process.stderr.write(`${lines.join("\n")}\n`);
  if (!process.stdin.isTTY) {
    throw new Fault("cli.not-confirmed", "this asks before it acts, and there is nobody to ask", {
      hints: ["If all of the above is meant: the same command with --yes"],
    });
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D are a no.
  const answer = await ask.question(`Type ${id} to go on: `).catch(() => {
    process.stderr.write("\n");
    return "";
  });
  ask.close();
  if (answer.trim() !== id) throw new Fault("cli.not-confirmed", "nothing was changed");
}
