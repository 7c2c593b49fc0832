// The nftables table that cuts a server off: everything on every interface but loopback is dropped,
// ARP too, in both directions. Pure. The idea: at the interfaces themselves, since an isolated
// keepalived would else tell the network by ARP that the address is its own.

import { Fault } from "../base/fault.ts";

export const CUT_TABLE = "understudy_drill";
const DEVICES_MAX = 64;
const DEVICE = /^[A-Za-z0-9_.:-]{1,15}$/;
/** Before everybody else's rules. */
const PRIORITY = -500;

/** What `nft -f` reads. Throws Fault `drill.refused` for interfaces that it couldn't name. */
export function renderCut(devices: readonly string[]): string {
  const odd = devices.find((device) => !DEVICE.test(device));
  if (odd !== undefined || devices.length === 0 || devices.length > DEVICES_MAX) {
    const why = odd === undefined ? `${devices.length} interfaces` : `an interface called "${odd}"`;
    throw new Fault("drill.refused", `this server can't be cut off: it has ${why}`);
  }
  const chains = devices.flatMap((device, index) =>
    (["ingress", "egress"] as const).map(
      (hook) =>
        `  chain ${hook}_${index} { type filter hook ${hook} device "${device}" priority ${PRIORITY}; policy drop; }`,
    ),
  );
  return [`table netdev ${CUT_TABLE} {`, ...chains, "}", ""].join("\n");
}
