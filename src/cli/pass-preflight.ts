// What init and join do with their checks: refuse, or warn and go on.

import { Fault } from "../base/fault.ts";
import type { Check } from "../setup/check.ts";
import type { FoundPuppet } from "../setup/observe.ts";
import { requirePreflight } from "../setup/preflight.ts";
import { readSetupHost, type SetupHost } from "../setup/setup-host.ts";
import type { Output } from "./output.ts";

/** Only root can look at all that preflight judges. Throws Fault `setup.not-root`. */
export function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Fault("setup.not-root", "this needs root, to look as well as to act", {
    hints: ["Run the command as root, or with sudo."],
  });
}

/** This host as setup needs it. Throws Fault `setup.preflight` where a check is fatal. */
export async function passPreflight(
  checks: Check[],
  puppet: FoundPuppet,
  output: Output,
): Promise<SetupHost> {
  requirePreflight(checks);
  if (puppet.layout === undefined) throw puppet.fault;
  for (const { verdict, name, found, remedy } of checks) {
    if (verdict === "warning") output.progress(` ! ${name}: ${found}. ${remedy ?? ""}`);
  }
  output.progress(` ✓ preflight: ${checks.length} checks`);
  return readSetupHost(puppet.layout);
}
