// Runs a load program in the network of the agents' host.

import { Fault } from "../src/base/fault.ts";
import type { BareSite } from "./site.ts";

/** What the program `file` prints when it is given `load` as JSON. Fault `bench.load-failed`. */
export async function runProgram(
  site: BareSite,
  file: URL,
  load: unknown,
  withinMs: number,
): Promise<string> {
  const argv = [process.execPath, file.pathname];
  const host = site.agentHost.name;
  const input = JSON.stringify(load);
  const result = await site.lab.fromNetwork(argv, { host, input, withinMs });
  if (result.ok) return result.stdout;
  const why = result.timedOut ? "took too long" : result.stderr.trim().slice(-800);
  throw new Fault("bench.load-failed", `${file.pathname}: ${why}`);
}
