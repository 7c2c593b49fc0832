// Which agents have an open connection to an address at a given instant: what a power cut of the
// server behind it takes with it, and what it has no excuse for. The idea: look all the time and
// ask afterwards, so that the last listing is milliseconds old.

import { join } from "node:path";
import { Fault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import type { Lab } from "../lab.ts";
import { openAt, parseOpen } from "./connections-parse.ts";

const PROGRAM = join(import.meta.dirname, "connections-program.ts");
const LOOK_EVERY_MS = 10;
const FIRST_LOOK_MS_MAX = 60_000;
const HOURS_MAX_MS = 6 * 3_600_000;

export interface ConnectionWatch extends AsyncDisposable {
  /**
   * Agents that had an open connection in the last listing at or before `atMs` (since the epoch).
   */
  openAt(atMs: number): string[];
}

/** Watches connections of the agents on `host` to `address`:`port`. */
export async function watchConnections(
  lab: Lab,
  place: { host: string; address: string; port: number },
): Promise<ConnectionWatch> {
  const { host, address, port } = place;
  const argv = [process.execPath, PROGRAM, address, `${port}`, `${LOOK_EVERY_MS}`];
  const running = lab.startFromNetwork(argv, { host, withinMs: HOURS_MAX_MS });
  const listings = () => parseOpen(running.output().stdout);
  try {
    await until("a first listing of connections", () => listings().length > 0, {
      withinMs: FIRST_LOOK_MS_MAX,
      everyMs: 20,
    });
  } catch (error) {
    running.kill();
    throw error;
  }
  return {
    openAt: (atMs) => {
      const agents = openAt(listings(), atMs);
      if (agents !== undefined) return agents;
      throw new Fault("lab.no-listing", "connections were not watched yet at that time");
    },
    [Symbol.asyncDispose]: async () => {
      running.kill();
      await running.done;
    },
  };
}
