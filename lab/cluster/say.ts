// Long commands in a host, whose progress lines are passed on while they work.

import { Fault } from "../../src/base/fault.ts";
import { pause } from "../../src/base/retry.ts";
import type { ExecResult } from "../exec.ts";
import type { LabHost } from "../host.ts";

const LOOK_MS = 200;

/**
 * Runs `argv` to its end; each line that it writes to standard error goes to `say` within 200 ms.
 * Fault `lab.command-failed` with all it wrote unless it exits 0.
 */
export async function runSaying(
  host: LabHost,
  argv: readonly string[],
  options: { say: (line: string) => void; withinMs: number },
): Promise<ExecResult> {
  options.say(`${host.fqdn}# ${argv.join(" ")}`);
  const running = await host.start(argv, { withinMs: options.withinMs });
  const ended = new AbortController();
  let said = 0;
  const pass = (complete: boolean) => {
    const lines = running.output().stderr.split("\n");
    const upTo = complete ? lines.length : lines.length - 1;
    for (const line of lines.slice(said, upTo))
      if (line.trim() !== "") options.say(`  ${line.trim()}`);
    said = upTo;
  };
  const follow = async () => {
    while (!ended.signal.aborted) {
      await pause(LOOK_MS, ended.signal);
      pass(false);
    }
  };
  const following = follow();
  const result = await running.done;
  ended.abort();
  await following;
  pass(true);
  if (result.ok) return result;
  const how = result.timedOut ? "took too long" : `exit code ${result.code ?? "none (signal)"}`;
  const text = `${result.stderr}${result.stdout}`.trim();
  throw new Fault("lab.command-failed", `${host.name}: ${argv.join(" ")}: ${how}\n${text}`);
}
