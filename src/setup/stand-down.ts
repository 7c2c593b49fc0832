// A member that the others have removed stands down as soon as one of them tells it so: agents must
// not reach an edge that hears of no revocation any more, nor an address that two servers hold. Its
// files stay as they are until somebody cleans up. The word counts only from who holds a control
// certificate.

import { z } from "zod";
import { Fault, isFault } from "../base/fault.ts";
import { requireNodeFile, writeNodeFile } from "../cluster/node-file.ts";
import { ETCD_UNIT } from "../cluster/own-etcd.ts";
import { createPeers } from "../cluster/peer.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { unit } from "../host/systemd.ts";

const ASK_MS = 3000;

/** The address moves first; the daemon ends last, since it may be the one that does this. */
const UNITS = [
  "understudy-vip.service",
  "understudy-edge.service",
  "understudy-files.socket",
  "understudy-files.service",
  ETCD_UNIT,
  "understudy.service",
];

/** The Fault with which a command ends on a server that was removed. */
export function removedFault(node: NodeFile): Fault {
  return new Fault("member.removed", `${node.id} was removed from ${node.sharedName}`, {
    hints: [
      "It serves no agents, and its certificates are refused by the members.",
      "Clean it up: understudy leave. After that it can join anew.",
    ],
  });
}

/** Whether another member says that this one was removed. False while nobody answers. */
export async function wasRemoved(view: View, id: string): Promise<boolean> {
  const control = await readLeaf("control");
  const peers = createPeers(() => control);
  const others = view.members.filter((member) => member.id !== id);
  const ask = async (address: string) => {
    const options = { answer: z.unknown(), withinMs: ASK_MS };
    return peers.call(address, "/v1/local", options).then(
      () => false,
      (error: unknown) => isFault(error, "member.removed"),
    );
  };
  try {
    return (await Promise.all(others.map(async ({ address }) => ask(address)))).includes(true);
  } finally {
    peers.close();
  }
}

/**
 * Remembers that this member was removed, and has systemd stop everything of ours, now and at boot.
 */
export async function standDown(): Promise<void> {
  const node = await requireNodeFile();
  await writeNodeFile({ ...node, phase: "removed" });
  for (const name of UNITS) await unit("disable", name);
  for (const name of UNITS) await unit("stop", name, { noBlock: true });
}
