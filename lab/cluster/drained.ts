// What edges say of a puppetserver that is to get nothing new.

import type { ClusterStatus } from "../../src/cluster/status.ts";

/** Whether every edge that answers asks the puppetserver of `id` only when no other is up. */
export function isDrainedEverywhere({ members }: ClusterStatus, id: string): boolean {
  return members.every(
    ({ local }) =>
      local?.edge?.backends.some(({ member, state }) => member === id && state === "drained") ===
      true,
  );
}
