// A PuppetDB as something to deliver to. A deletion is no command to it, but an act of its own, and
// what is brought to it while somebody deletes the node is taken away again.

import { deadline } from "../base/retry.ts";
import type { DeliveryTarget } from "./deliver.ts";
import { deleteNode } from "./deletion.ts";
import type { Deletions } from "./deletions.ts";
import { isOfDeleted, judgeAnswer } from "./delivery-plan.ts";
import type { PuppetDbClient } from "./puppetdb-client.ts";
import type { SharedDeletions } from "./share-deletions.ts";

/** For three small queries and the deletion itself. */
const DELETE_MS = 30_000;

export interface PuppetDbTargetDeps extends Pick<SharedDeletions, "announce"> {
  client: PuppetDbClient;
  writable: () => boolean;
  look: () => Promise<unknown>;
  deletions: Deletions;
}

export function createPuppetDbTarget(deps: PuppetDbTargetDeps): DeliveryTarget {
  const { client, deletions } = deps;
  const remove = async (certname: string, producerMs: number, signal: AbortSignal) =>
    deleteNode(client, { certname, producerMs }, deadline(DELETE_MS, signal));
  return {
    id: client.id,
    writable: deps.writable,
    look: deps.look,
    async send(head, body, signal) {
      const { kind, certname, producerMs } = head;
      if (kind === "deletion") {
        // Before it is gone there, nobody may bring it what is older.
        await deps.announce(head);
        return remove(certname, producerMs, signal);
      }
      const answer = await client.send(head, body, signal);
      const stored = answer.status >= 200 && answer.status < 300;
      const deletedAt = (of: string) => deletions.at(of);
      if (!stored || !isOfDeleted(head, deletedAt)) return answer;
      // It was on its way when somebody deleted the node.
      return remove(certname, deletions.at(certname) ?? producerMs, signal);
    },
    judge: judgeAnswer,
  };
}
