// Several PuppetDBs in front of one database: whatever one of them has stored, all have. So a
// command goes to one that can store it, and to the next where that one fails.

import type { DeliveryTarget } from "./deliver.ts";
import { judgeAnswer } from "./delivery-plan.ts";
import type { PuppetDbClient } from "./puppetdb-client.ts";

/** The database's name among the targets of a spool. */
export const SHARED_DATABASE = "shared-database";

export interface SharedDeps {
  /** In the order in which they are preferred. */
  puppetdbs: readonly { client: PuppetDbClient; health: { writable: boolean } }[];
  /** Looks at all of them anew. */
  look: () => Promise<unknown>;
}

export function createSharedTarget({ puppetdbs, look }: SharedDeps): DeliveryTarget {
  const writable = () => puppetdbs.find(({ health }) => health.writable)?.client;
  return {
    id: SHARED_DATABASE,
    writable: () => writable() !== undefined,
    look,
    send: async (head, body, signal) =>
      (await writable()?.send(head, body, signal)) ?? { status: 0, body: "no PuppetDB can store" },
    judge: judgeAnswer,
  };
}
