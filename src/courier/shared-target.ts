// Several PuppetDBs in front of one database: whatever one of them has stored, all have. So a
// command goes to one that can store it, and to the next where that one fails.

import type { DeliveryTarget } from "./deliver.ts";
import { judgeAnswer } from "./delivery-plan.ts";

/** The database's name among the targets of a spool. */
export const SHARED_DATABASE = "shared-database";

/** `puppetdbs` in the order in which they are preferred. */
export function createSharedTarget(puppetdbs: readonly DeliveryTarget[]): DeliveryTarget {
  const first = () => puppetdbs.find((one) => one.writable());
  return {
    id: SHARED_DATABASE,
    writable: () => first() !== undefined,
    look: async () => Promise.all(puppetdbs.map(async (one) => one.look())),
    send: async (head, body, signal) =>
      (await first()?.send(head, body, signal)) ?? { status: 0, body: "no PuppetDB can store it" },
    judge: judgeAnswer,
  };
}
