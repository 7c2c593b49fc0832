// A member that the others have removed stands down as soon as one of them tells it so: agents must
// not reach an edge that hears of no revocation any more, nor an address that two servers hold. Its
// files stay as they are until somebody cleans up. The word counts only from who holds a control
// certificate.

import { z } from "zod";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { requireNodeFile, writeNodeFile } from "../cluster/node-file.ts";
import { createPeers, type PeerTls } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { UNITS } from "../host/paths.ts";
import { run } from "../host/process.ts";
import { drain, hold, letAgentsIn } from "./make-way.ts";

const ASK_MS = 3000;

/** How long running requests may take to end before the address goes; new ones wait meanwhile. */
const REQUESTS_MS = 15_000;

/**
 * Our units, in the order in which they stop: the daemon first, which would start the others again,
 * then the address moves.
 */
export const OUR_UNITS = [
  UNITS.daemon,
  UNITS.vip,
  UNITS.edge,
  UNITS.files,
  UNITS.filesSocket,
  UNITS.courierSocket,
  UNITS.courier,
  UNITS.etcd,
];

/** Never enabled: they run while connections are kept after a switchover. */
export const SWITCHOVERS = [UNITS.switchoverNew, UNITS.switchoverOld];

/** The Fault with which a command ends on a server that was removed. */
export function removedFault(node: NodeFile): Fault {
  return new Fault("member.removed", `${node.id} was removed from ${node.sharedName}`, {
    hints: [
      "It serves no agents, and its certificates are refused by the members.",
      "Clean it up: understudy leave. After that it can join anew.",
    ],
  });
}

/**
 * Whether another member says that this one was removed. Whoever has a virtual IP is asked too: of
 * a server that was away for long the members that it knows may all be gone. False while nobody
 * answers, and when `signal` aborts: then at once, so that whoever has his answer waits for no
 * silent member.
 */
export async function wasRemoved(
  view: View,
  id: string,
  control: PeerTls,
  signal: AbortSignal,
): Promise<boolean> {
  const peers = createPeers(() => control);
  const others = view.members.filter((member) => member.id !== id).map(({ address }) => address);
  const virtual = view.settings.virtualIps.map((vip) => vip.split("/")[0] ?? vip);
  const ask = async (address: string) => {
    const options = { answer: z.unknown(), withinMs: ASK_MS, signal };
    return peers.call(address, "/v1/local", options).then(
      () => false,
      (error: unknown) => isFault(error, "member.removed"),
    );
  };
  try {
    return (await Promise.all([...others, ...virtual].map(ask))).includes(true);
  } finally {
    peers.close();
  }
}

/**
 * What a daemon does when another member says that this one was removed. It starts anew by
 * `restart` and then stands down, when no loop is there to start anything again. A full disk
 * doesn't take that in, and is no reason to keep an address that another server has by now: then
 * all stops.
 */
export async function heedRemoval(
  log: Log,
  restart: () => void,
  { remember, stopAll } = { remember: rememberRemoval, stopAll: async () => standDown("daemon") },
): Promise<void> {
  try {
    await remember();
  } catch (error) {
    log.error(`that it was removed can't be written down: ${messageOf(error)}`);
    await stopAll();
    return;
  }
  restart();
}

/** Remembers that this member was removed: whatever of ours starts from now on stands down. */
export async function rememberRemoval(): Promise<void> {
  await writeNodeFile({ ...(await requireNodeFile()), phase: "removed" });
}

/**
 * Has systemd stop everything of ours, now and at boot: first what agents have running here may
 * end, then the address goes. `self` is the unit that the caller runs in.
 */
export async function standDown(self: "daemon" | "edge"): Promise<void> {
  const own = self === "daemon" ? UNITS.daemon : UNITS.edge;
  // Without a reload: systemd would read every unit anew while these are being started.
  await run(["systemctl", "disable", "--no-reload", ...OUR_UNITS]);
  // Or it would start again what stops here.
  if (self === "edge") await run(["systemctl", "stop", UNITS.daemon]);
  await hold();
  await drain(REQUESTS_MS);
  const others = OUR_UNITS.filter((name) => name !== own);
  await run(["systemctl", "stop", "--no-block", ...SWITCHOVERS, ...others]);
  await letAgentsIn();
  // Last, because it ends this very process.
  await run(["systemctl", "stop", "--no-block", own]);
}
