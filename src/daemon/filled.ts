// A PuppetDB that fills answers queries once its courier has found that it lacks nothing; then the
// record says so. Until it does, the PuppetDB answers on its courier's word alone.

import { type Loop, startLoop } from "../base/loop.ts";
import type { CourierStatus } from "../cluster/courier-status.ts";
import type { View } from "../cluster/view.ts";
import type { CourierRunner } from "./courier.ts";
import type { LoopHost } from "./loops.ts";
import { changeMember } from "./puppetdb.ts";

const TICK_MS = 10_000;

export function startFilledLoop(host: LoopHost, courier: Pick<CourierRunner, "status">): Loop {
  const { keeper, log, node, signal } = host;
  return startLoop({
    name: "PuppetDB that fills",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      const view = keeper.current();
      if (view === undefined || !keeper.record().reachable) return;
      if (!isFilling(view, node.id) || !isFilled(await courier.status())) return;
      await changeMember(host, (own) =>
        own.puppetdb === "fills" ? { ...own, puppetdb: "answers" } : own,
      );
      log.notice("this server's PuppetDB has what the others have: it answers queries");
    },
  });
}

function isFilling({ members }: View, id: string): boolean {
  return members.some((member) => member.id === id && member.puppetdb === "fills");
}

/** Whether a courier has found its server's PuppetDB level with the others. */
export function isFilled(courier: CourierStatus | undefined): boolean {
  return courier?.runs === true && courier.sync?.standing === "level";
}
