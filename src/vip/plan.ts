// What brings keepalived to the rendered configuration. Pure. The configuration is checked before
// it replaces the one that works, and a reload moves no address.

import { createHash } from "node:crypto";
import type { Standing } from "./priority.ts";

export interface VipDesired {
  /** Text of keepalived.conf; undefined: this server holds no addresses, keepalived is off. */
  config: string | undefined;
  edgeWatch: string;
  standing: Standing;
}

export interface VipObserved {
  config: string | undefined;
  /** Hash (configHash) of the configuration that keepalived was last started or reloaded with. */
  loaded: string | undefined;
  edgeWatch: string | undefined;
  priority: number | undefined;
  active: boolean;
  /** Comes back after a reboot without us. */
  enabled: boolean;
}

export type VipAction =
  | { do: "write-edge-watch"; text: string; because: string }
  | { do: "set-priority"; priority: number; because: string }
  | { do: "write-config"; text: string; because: string }
  | { do: "enable" | "start" | "reload" | "stop"; because: string };

/** Lists what brings `observed` to `desired`, in order. Empty when nothing is left to do. */
export function planVip(desired: VipDesired, observed: VipObserved): VipAction[] {
  const { config, standing } = desired;
  if (config === undefined) {
    if (!observed.active && !observed.enabled) return [];
    return [{ do: "stop", because: "this server holds no virtual IPs" }];
  }
  const actions: VipAction[] = [];
  if (observed.edgeWatch !== desired.edgeWatch) {
    const because = "keepalived looks at the edge with it";
    actions.push({ do: "write-edge-watch", text: desired.edgeWatch, because });
  }
  // Before a start, so that keepalived never acts on an older number.
  if (observed.priority !== standing.priority) {
    actions.push({ do: "set-priority", ...standing });
  }
  if (observed.config !== config) {
    const because =
      observed.config === undefined ? "there is none yet" : "addresses or servers changed";
    actions.push({ do: "write-config", text: config, because });
  }
  if (!observed.enabled) {
    actions.push({ do: "enable", because: "addresses must come back after a reboot without us" });
  }
  if (!observed.active) actions.push({ do: "start", because: "keepalived doesn't run" });
  else if (observed.loaded !== configHash(config)) {
    actions.push({ do: "reload", because: "it runs with an older configuration" });
  }
  return actions;
}

/** Names a configuration in `loaded`. */
export function configHash(config: string): string {
  return createHash("sha256").update(config).digest("hex");
}
