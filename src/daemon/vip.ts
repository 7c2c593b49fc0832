// Virtual IPs on this server as the daemon runs them: what the view means for keepalived. The
// judgement is vip/plan.ts.

import type { Acts } from "../base/acts.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { edgePaths } from "../edge/config.ts";
import {
  configuredAddresses,
  interfaceFor,
  type LocalAddress,
  parseCidr,
} from "../host/network.ts";
import { PATHS } from "../host/paths.ts";
import { applyVip } from "../vip/apply.ts";
import { renderEdgeWatch } from "../vip/edge-watch.ts";
import { observeVip } from "../vip/observe.ts";
import { vipPaths } from "../vip/paths.ts";
import { planVip } from "../vip/plan.ts";
import { decideStanding, type Standing } from "../vip/priority.ts";
import { renderKeepalived } from "../vip/render.ts";
import { readWindows } from "../vip/switchover/look.ts";
import type { AddressDrain } from "./vip-drain.ts";

/**
 * Which of the wanted addresses (ADDRESS/PREFIX) go to which interface here, and which to none.
 * Throws Fault `vip.no-interface` where it is none of them: while a network restarts that is so for
 * a moment, and keepalived must not go for it.
 */
export function placeAddresses(
  wanted: readonly string[],
  local: readonly LocalAddress[],
): { addresses: { address: string; interface: string }[]; missing: string[] } {
  const addresses: { address: string; interface: string }[] = [];
  const missing: string[] = [];
  for (const address of wanted) {
    const device = interfaceFor(parseCidr(address), local);
    if (device === undefined) missing.push(address);
    else addresses.push({ address, interface: device.interface });
  }
  if (addresses.length === 0 && wanted.length > 0) throw noInterface(missing);
  return { addresses, missing };
}

function noInterface(missing: readonly string[]): Fault {
  return new Fault(
    "vip.no-interface",
    `no interface of this server is on the subnet of ${missing.join(", ")}`,
    { hints: ["This server holds none of these addresses until it has such an interface."] },
  );
}

/** What keepalived is to be brought to, beside what the view says. */
export interface VipWishes {
  node: NodeFile;
  /** The record can't be reached. */
  isolated: boolean;
  /** An address to take from whoever has it; empty: none. */
  take: string;
  drain: AddressDrain;
  log: Log;
  acts: Acts;
}

/**
 * Brings keepalived to what the view wants of this server. Throws Fault `vip.no-interface`, what
 * applyVip throws.
 */
export async function keepVip(
  view: View,
  { node, isolated, take, drain, log, acts }: VipWishes,
): Promise<void> {
  // As configured, not as connected: a pulled cable must not make keepalived go.
  const local = await configuredAddresses();
  const { addresses, missing } = placeAddresses(view.settings.virtualIps, local);
  const peers = serversOf(view).filter((member) => member.id !== node.id);
  const paths = vipPaths();
  const config = {
    addresses,
    wanted: view.settings.virtualIps,
    memberId: node.id,
    self: node.address,
    peers: peers.map((member) => member.address),
    routerIdSeed: view.meta.clusterId,
    ...(take === "" ? {} : { take }),
    priorityFile: paths.priority,
    edgeWatch: paths.edgeWatch,
    edgeSocket: edgePaths({ stateDir: PATHS.edge, runDir: PATHS.run }).stats,
  };
  const observed = await observeVip();
  const decided = decideStanding({
    // What is taken by order is taken without the record, too.
    isolated: isolated && take === "",
    ...(await drain.facts(view)),
  });
  const standing = await yieldToSwitchover(decided, observed.priority);
  const desired = {
    config: addresses.length === 0 ? undefined : renderKeepalived(config),
    edgeWatch: renderEdgeWatch(),
    standing,
  };
  const actions = planVip(desired, observed);
  acts.note("virtual IPs", actions);
  for (const action of actions) {
    log.notice(`virtual IPs: ${action.do}: ${action.because}`);
    await applyVip(action);
  }
  await drain.settle(view, standing);
  if (missing.length > 0) throw noInterface(missing);
}

/** While a switchover moves addresses the number is its own: it gives it back within seconds. */
async function yieldToSwitchover(
  standing: Standing,
  priority: number | undefined,
): Promise<Standing> {
  const windows = await readWindows();
  const moving = windows.some(({ phase }) => phase !== "moved" && phase !== "ended");
  if (!moving || priority === undefined) return standing;
  return { priority, because: "a switchover is under way" };
}
