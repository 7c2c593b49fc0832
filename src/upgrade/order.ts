// What the upgrade of one server is told, and what came of it: two files, by which the daemon and
// the unit that runs apt know of each other. The idea: the package that is upgraded restarts the
// daemon, and a server may lose power: both are found again, and what was done isn't done twice.

import { join } from "node:path";
import { z } from "zod";
import { PackageStep } from "../cluster/work.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";

export const UpgradeOrder = z.object({
  /** Of the roll. */
  key: z.string(),
  packages: z.array(PackageStep),
  /** Which start each unit had before anything was done, by its name; absent: it didn't run. */
  starts: z.record(z.string(), z.string()),
  /** How often the unit was started for this. */
  tries: z.int(),
});
export type UpgradeOrder = z.infer<typeof UpgradeOrder>;

export const UpgradeResult = z.object({
  key: z.string(),
  state: z.enum(["done", "failed"]),
  because: z.string(),
});
export type UpgradeResult = z.infer<typeof UpgradeResult>;

export async function readOrder(folder: string): Promise<UpgradeOrder | undefined> {
  return parse(UpgradeOrder, await readIfThere(orderFile(folder)));
}

export async function writeOrder(folder: string, order: UpgradeOrder): Promise<void> {
  await writeFileAtomic(orderFile(folder), `${JSON.stringify(order)}\n`, { mode: 0o600 });
}

export async function readResult(folder: string): Promise<UpgradeResult | undefined> {
  return parse(UpgradeResult, await readIfThere(resultFile(folder)));
}

export async function writeResult(folder: string, result: UpgradeResult): Promise<void> {
  await writeFileAtomic(resultFile(folder), `${JSON.stringify(result)}\n`, { mode: 0o600 });
}

/** What can't be understood is as good as not there: it is written anew. */
function parse<S extends z.ZodType>(schema: S, text: string | undefined): z.infer<S> | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function orderFile(folder: string): string {
  return join(folder, "order.json");
}

function resultFile(folder: string): string {
  return join(folder, "result.json");
}
