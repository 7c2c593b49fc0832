// One slice of load on a door of the site.

import { Fault } from "../../src/base/fault.ts";
import { runProgram } from "../program.ts";
import { type Load, Slice } from "./load-plan.ts";
import type { CourierSite } from "./site.ts";

/** Fault `bench.load-failed` where anything wasn't answered with 200. */
export async function runLoad(site: CourierSite, load: Load): Promise<Slice> {
  const file = new URL("./load-program.ts", import.meta.url);
  const output = await runProgram(site, file, load, load.ms * 3 + 120_000);
  const slice = Slice.parse(JSON.parse(output));
  if (slice.errors === 0) return slice;
  throw new Fault("bench.load-failed", `${slice.errors} requests failed: ${slice.error}`);
}
