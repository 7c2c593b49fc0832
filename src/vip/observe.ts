// What keepalived is set to and which addresses this server holds, read from files, systemd and the
// kernel. The kernel's list is the truth about addresses; keepalived's own state is only its
// opinion.

import { readIfThere } from "../host/files.ts";
import { configuredAddresses, parseCidr } from "../host/network.ts";
import { unitState } from "../host/systemd.ts";
import type { VipObserved } from "./plan.ts";
import { parsePriority } from "./priority.ts";
import { vipPaths } from "./paths.ts";

export const VIP_UNIT = "understudy-vip.service";

/** Reads what planVip needs. Throws Fault `host.command-failed` where systemd doesn't answer. */
export async function observeVip(folder?: string): Promise<VipObserved> {
  const paths = vipPaths(folder);
  const [config, loaded, edgeWatch, priority, unit] = await Promise.all([
    readIfThere(paths.config),
    readIfThere(paths.loaded),
    readIfThere(paths.edgeWatch),
    readIfThere(paths.priority),
    unitState(VIP_UNIT),
  ]);
  const active = ["active", "reloading"].includes(unit.active);
  return {
    config,
    loaded: loaded?.trim(),
    edgeWatch,
    priority: parsePriority(priority),
    active,
    enabled: unit.enabled,
  };
}

/** Which of `addresses` (ADDRESS/PREFIX) this server holds now. Throws `host.command-failed`. */
export async function heldAddresses(addresses: readonly string[]): Promise<string[]> {
  if (addresses.length === 0) return [];
  const held = new Set((await configuredAddresses()).map((each) => each.address));
  return addresses.filter((each) => held.has(canonical(each)));
}

/** The address alone, in the one spelling that the kernel uses. */
function canonical(text: string): string {
  const { address, family } = parseCidr(text);
  return family === 4 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
}
