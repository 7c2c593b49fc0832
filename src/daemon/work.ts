// The commands of planned work, with what they need of a running daemon.

import type { WorkCommands } from "../api/work-commands.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { type Core, requireView } from "./core.ts";
import { drainCommands } from "./drain.ts";
import type { Moves } from "./hand-over.ts";
import { runningRequests } from "./own-record.ts";
import { pauseCommands } from "./pause.ts";
import { rollCommands } from "./roll-commands.ts";
import { upgradeCommands } from "./upgrade.ts";

export function workCommands(
  core: Core,
  status: () => Promise<ClusterStatus>,
  moves: Moves,
): WorkCommands {
  const { node, keeper, neighbours } = core;
  const wake = () => keeper.loop.wake();
  const running = async (member: Parameters<typeof runningRequests>[0]) =>
    runningRequests(member, node);
  const requireClock = (what: string) => neighbours.requireClock(what);
  return {
    drains: drainCommands({ ...core, status, running, moves, requireClock, wake }),
    pauses: pauseCommands({
      ...core,
      ids: () => requireView(core).members.map(({ id }) => id),
      requireClock,
      wake,
    }),
    roll: rollCommands({ ...core, status, wake }),
    upgrade: upgradeCommands({ ...core, status, wake }),
  };
}
