// Carries out the steps of plan.ts. Each may be done again.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../base/fault.ts";
import { writeFileAtomic } from "../../host/files.ts";
import { run, tryRun } from "../../host/process.ts";
import type { SwitchoverPaths } from "./order.ts";
import type { Step } from "./plan.ts";

const ACT_MS = 10_000;

/**
 * Does one step. Throws Fault `host.command-failed`, `switchover.step`, or what the file system
 * throws.
 */
export async function applyStep(step: Step, priorityFile: string): Promise<void> {
  switch (step.do) {
    case "sysctl":
      await writeFile(join("/proc/sys", step.path), `${step.value}\n`);
      return;
    case "table":
      await run(["nft", "-f", "-"], { input: step.text, withinMs: ACT_MS });
      return;
    case "address":
      await addCopy(step.address);
      return;
    case "number":
      await writeFileAtomic(priorityFile, `${step.priority}\n`);
  }
}

/** The address on lo: as `host`, so that nothing here takes it for the address of a network. */
async function addCopy(address: string): Promise<void> {
  const argv = ["ip", "addr", "add", `${address}/32`, "dev", "lo", "scope", "host"];
  const result = await tryRun(argv, { withinMs: ACT_MS });
  // The kernel's words for an address that is there differ from version to version.
  if (result.ok || (await hasCopy(address))) return;
  throw new Fault("switchover.step", `${argv.join(" ")}: ${result.stderr.trim()}`);
}

async function hasCopy(address: string): Promise<boolean> {
  const argv = ["ip", "-4", "-o", "addr", "show", "dev", "lo", "to", `${address}/32`];
  return (await run(argv, { withinMs: ACT_MS })).trim() !== "";
}

/** Puts everything back. Throws Fault `host.command-failed`. */
export async function runUndo(paths: SwitchoverPaths, id: string): Promise<void> {
  await run(["/bin/sh", paths.undo(id)], { withinMs: ACT_MS });
}
