// The edge of this server as the daemon runs it: configuration from the view, revocations from the CA,
// and what HAProxy says of itself for the status.

import { RefuseAnswer } from "../api/member-app.ts";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import type { Ca } from "../ca/authority.ts";
import type { EdgeReport } from "../ca/operations.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import { serversOf } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { writeEdgeFiles } from "../edge/apply.ts";
import { revocationKey } from "../edge/identity.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { isActive, unit } from "../host/systemd.ts";
import { desiredEdge } from "./edge-desired.ts";
import { EDGE_CERTIFICATE, keepEdgeIdentity, PUPPET_CA } from "./identity-files.ts";

/** How long the other edges may take to confirm a revocation before they are named. */
const CONFIRM_MS = 10_000;
const EDGE_UNIT = "understudy-edge.service";
const FILES_UNITS = ["understudy-files.socket", "understudy-files.service"];

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

export function createEdgeRunner(host: EdgeHost): EdgeRunner {
  const { node, keeper, peers, ca } = host;
  let active = false;
  let because = "not started yet";
  let identity = "";
  const refuse = async (_keys: string[]) => ({ confirmed: true, because: "" });
  return {
    refuse,
    async tick() {
      const view = keeper.current();
      if (view === undefined) return;
      const kept = await keepEdgeIdentity(host.layout, node.sharedName);
      if (kept === undefined) {
        because = "this server has no Puppet certificate with the shared name yet";
        return;
      }
      const config = desiredEdge(view, {
        id: node.id,
        memoryMiB: host.memoryMiB,
        certificateFile: EDGE_CERTIFICATE,
        puppetCaFile: PUPPET_CA,
        issuers: kept.issuers,
      });
      const changed = await writeEdgeFiles(config);
      for (const name of FILES_UNITS) {
        if (!(await isActive(name))) await unit("start", name);
      }
      if (!(await isActive(EDGE_UNIT))) {
        await unit("enable", EDGE_UNIT);
        await unit("restart", EDGE_UNIT);
      } else if (changed.length > 0 || (identity !== "" && identity !== kept.fingerprint)) {
        await unit("reload", EDGE_UNIT);
      }
      identity = kept.fingerprint;
      active = true;
      because = "";
    },
    status: () => ({ active, because, confirmedCrl: 0, replays: 0, poisonous: [], backends: [] }),
    async refuseEverywhere(serials) {
      const keys = serials.map((serial) => revocationKey(ca.issuerText(), serial));
      const view = keeper.current();
      const servers = view === undefined ? [] : serversOf(view);
      const report: EdgeReport = { confirmed: [], missing: [] };
      await Promise.all(
        servers.map(async (member) => {
          const answer =
            member.id === node.id
              ? refuse(keys)
              : peers.call(member.address, "/v1/edge/refuse", {
                  body: { keys },
                  answer: RefuseAnswer,
                  withinMs: CONFIRM_MS,
                });
          const said = await answer.catch((error: unknown) => ({
            confirmed: false,
            because: messageOf(error),
          }));
          if (said.confirmed) report.confirmed.push(member.id);
          else report.missing.push({ member: member.id, because: said.because });
        }),
      );
      return report;
    },
  };
}
