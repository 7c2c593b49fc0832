// Virtual IPs on this server: keepalived configured from the view, fed one number.

import { join } from "node:path";
import type { NodeFile } from "../cluster/schema.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { makeFolder, writeIfChanged } from "../host/files.ts";
import { interfaceFor, parseCidr } from "../host/network.ts";
import { PATHS } from "../host/paths.ts";
import { run } from "../host/process.ts";
import { isActive, unit } from "../host/systemd.ts";
import { renderEdgeWatch } from "../vip/edge-watch.ts";
import { decideStanding } from "../vip/priority.ts";
import { renderKeepalived, type VipConfig } from "../vip/render.ts";

const VIP_UNIT = "understudy-vip.service";
const CONFIG = join(PATHS.vip, "keepalived.conf");
const CANDIDATE = join(PATHS.vip, "keepalived.conf.candidate");

/** What the view means for this server's keepalived; undefined where there is no virtual IP. */
export function desiredVip(view: View, node: NodeFile, edgeSocket: string): VipConfig | undefined {
  const addresses = view.settings.virtualIps.flatMap((address) => {
    const device = interfaceFor(parseCidr(address));
    return device === undefined ? [] : [{ address, interface: device.interface }];
  });
  if (addresses.length === 0) return undefined;
  return {
    memberId: node.id,
    addresses,
    self: node.address,
    peers: serversOf(view)
      .filter((member) => member.id !== node.id)
      .map((member) => member.address),
    routerIdSeed: view.meta.clusterId,
    priorityFile: join(PATHS.vip, "priority"),
    edgeWatch: join(PATHS.vip, "edge-watch"),
    edgeSocket,
  };
}

/** Brings keepalived to `config`; it is reloaded only when the configuration changed and is valid. */
export async function applyVip(config: VipConfig, wantsAway: boolean): Promise<void> {
  await makeFolder(PATHS.vip);
  const standing = decideStanding({ wantsAway, othersReady: config.peers.length > 0 });
  await writeIfChanged(config.priorityFile, `${standing.priority}\n`);
  await writeIfChanged(config.edgeWatch, renderEdgeWatch(), { mode: 0o755 });
  const text = renderKeepalived(config);
  let changed = false;
  if (await writeIfChanged(CANDIDATE, text)) {
    await run(["keepalived", `--use-file=${CANDIDATE}`, "--config-test"]);
    changed = await writeIfChanged(CONFIG, text);
  }
  if (!(await isActive(VIP_UNIT))) {
    await unit("enable", VIP_UNIT);
    await unit("start", VIP_UNIT);
  } else if (changed) {
    await unit("reload", VIP_UNIT);
  }
}
