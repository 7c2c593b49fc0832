// Virtual IPs on this server as the daemon runs them: what the view means for keepalived. The
// judgement is vip/plan.ts.

import type { Log } from "../base/log.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { edgePaths } from "../edge/config.ts";
import { configuredAddresses, interfaceFor, parseCidr } from "../host/network.ts";
import { PATHS } from "../host/paths.ts";
import { applyVip } from "../vip/apply.ts";
import { renderEdgeWatch } from "../vip/edge-watch.ts";
import { observeVip } from "../vip/observe.ts";
import { vipPaths } from "../vip/paths.ts";
import { planVip } from "../vip/plan.ts";
import { decideStanding } from "../vip/priority.ts";
import { renderKeepalived } from "../vip/render.ts";

/**
 * Brings keepalived to what the view wants of this server. `isolated`: the record can't be reached.
 */
export async function keepVip(
  view: View,
  { node, isolated, log }: { node: NodeFile; isolated: boolean; log: Log },
): Promise<void> {
  // As configured, not as connected: a pulled cable must not make keepalived go.
  const local = await configuredAddresses();
  const addresses = view.settings.virtualIps.flatMap((address) => {
    const device = interfaceFor(parseCidr(address), local);
    return device === undefined ? [] : [{ address, interface: device.interface }];
  });
  const peers = serversOf(view).filter((member) => member.id !== node.id);
  const own = view.members.find((member) => member.id === node.id);
  const paths = vipPaths();
  const config = {
    addresses,
    memberId: node.id,
    self: node.address,
    peers: peers.map((member) => member.address),
    routerIdSeed: view.meta.clusterId,
    priorityFile: paths.priority,
    edgeWatch: paths.edgeWatch,
    edgeSocket: edgePaths({ stateDir: PATHS.edge, runDir: PATHS.run }).stats,
  };
  const desired = {
    config: addresses.length === 0 ? undefined : renderKeepalived(config),
    edgeWatch: renderEdgeWatch(),
    standing: decideStanding({
      isolated,
      wantsAway: own?.phase === "leaving",
      othersReady: peers.some((member) => member.phase === "ready"),
    }),
  };
  for (const action of planVip(desired, await observeVip())) {
    log.notice(`virtual IPs: ${action.do}: ${action.because}`);
    await applyVip(action);
  }
}
