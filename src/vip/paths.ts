// Files of the virtual IPs. keepalived's own live in /run, so that none outlives a reboot.

import { join } from "node:path";
import { PATHS } from "../host/paths.ts";

export interface VipPaths {
  config: string;
  /** Hash of the configuration that keepalived runs with. */
  loaded: string;
  edgeWatch: string;
  priority: string;
}

/** The files in `folder`, by default /var/lib/understudy/vip, which only root may write. */
export function vipPaths(folder: string = PATHS.vip): VipPaths {
  return {
    config: join(folder, "keepalived.conf"),
    loaded: join(folder, "loaded"),
    edgeWatch: join(folder, "edge-watch"),
    priority: join(folder, "priority"),
  };
}
