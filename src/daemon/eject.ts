// What `understudy eject` asks of this server's daemon.

import type { EjectCommands } from "../api/local-app.ts";
import { Fault } from "../base/fault.ts";
import type { Copies } from "../ca/outcome.ts";
import { refuseEjected } from "../ca/ejected.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { planEject } from "../setup/eject-plan.ts";
import { type Core, requireCa, type ServerParts } from "./core.ts";

export function ejectCommands(
  core: Core,
  server: ServerParts | undefined,
  shared: {
    status(): Promise<ClusterStatus>;
    confirmCopies(revision: number): Promise<Copies>;
  },
): EjectCommands {
  const { node, keeper } = core;
  /** Throws Fault `eject.refused`, `ca.not-here`. */
  const requirePlan = async (alone: boolean) => {
    const ca = requireCa(server);
    const plan = planEject(await shared.status(), alone);
    if (plan.refused !== "") throw new Fault("eject.refused", plan.refused);
    return { ca, plan };
  };
  return {
    plan: async (alone) => planEject(await shared.status(), alone),
    async end(alone) {
      const { ca, plan } = await requirePlan(alone);
      const there = ca.ejected();
      if (plan.state !== "ours" || alone) {
        const at = there?.at ?? isoTime(wallMs());
        return { to: node.id, at, before: there !== undefined, copies: 1 };
      }
      const { ejected, revision } = await ca.end();
      // Another server was quicker.
      if (ejected.to !== node.id) refuseEjected(ejected);
      keeper.loop.wake();
      const { copies } = await shared.confirmCopies(revision);
      return { to: ejected.to, at: ejected.at, before: revision === 0, copies };
    },
    async handOver(alone) {
      const { ca } = await requirePlan(alone);
      const mark = await ca.handOver({ clusterId: node.clusterId, alone });
      keeper.loop.wake();
      const { serialNext, crlNumber } = mark;
      return { serialNext, crlNumber, alone: mark.alone, at: mark.at };
    },
  };
}
