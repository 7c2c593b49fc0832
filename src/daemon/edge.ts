// The edge of this server as the daemon runs it: configuration from the view, revocations from the CA,
// and what HAProxy says of itself for the status.

import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Ca } from "../ca/authority.ts";
import type { EdgeReport } from "../ca/operations.ts";
import { RefuseAnswer } from "../api/member-app.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import type { Peers } from "../cluster/peer.ts";
import { serversOf, type View } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { createEdge, type Edge } from "../edge/edge.ts";
import { revocationKey } from "../edge/identity.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { desiredEdge } from "./edge-desired.ts";
import { EDGE_CERTIFICATE, keepEdgeIdentity, PUPPET_CA } from "./identity-files.ts";

/** How long the other edges may take to confirm a revocation before they are named. */
const CONFIRM_MS = 10_000;

export interface EdgeHost {
  node: NodeFile;
  layout: PuppetLayout;
  memoryMiB: number;
  keeper: ViewKeeper;
  peers: Peers;
  ca: Ca;
  log: Log;
}

export interface EdgeRunner {
  /** One tick: configuration, then revocations. Throws when either could not be brought in place. */
  tick(): Promise<void>;
  status(): LocalStatus["edge"];
  /** Makes this edge refuse `keys`, and says whether every worker does. */
  refuse(keys: string[]): Promise<{ confirmed: boolean; because: string }>;
  /** Makes every member's edge refuse these serials; who confirmed, and who didn't yet. */
  refuseEverywhere(serials: readonly string[]): Promise<EdgeReport>;
}
