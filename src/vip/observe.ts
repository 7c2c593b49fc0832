// What keepalived is set to, read from files and systemd. Reads only.

import { readIfThere } from "../host/files.ts";
import { UNITS } from "../host/paths.ts";
import { unitState } from "../host/systemd.ts";
import type { VipObserved } from "./plan.ts";
import { parsePriority } from "./priority.ts";
import { vipPaths } from "./paths.ts";

/** Reads what planVip needs. Throws Fault `host.command-failed` where systemd doesn't answer. */
export async function observeVip(folder?: string): Promise<VipObserved> {
  const paths = vipPaths(folder);
  const [config, loaded, edgeWatch, priority, unit] = await Promise.all([
    readIfThere(paths.config),
    readIfThere(paths.loaded),
    readIfThere(paths.edgeWatch),
    readIfThere(paths.priority),
    unitState(UNITS.vip),
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
