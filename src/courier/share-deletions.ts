// What one courier knows of deleted nodes, the others learn: before a deletion is delivered, and
// later where one couldn't be reached then.

import type { Deletions } from "./deletions.ts";
import type { CourierPeers } from "./peers.ts";

export interface SharedDeletions {
  /** Has it on disk here and at every courier that answers. Throws why it can't be kept here. */
  announce: (head: { certname: string; producerMs: number }) => Promise<void>;
  /** Takes over what others know and this one doesn't. Throws why one can't be asked. */
  hear: () => Promise<void>;
}

export function shareDeletions(deletions: Deletions, peers: CourierPeers): SharedDeletions {
  /** By courier: the version of its list that is here. */
  const heard = new Map<string, string>();
  return {
    async announce({ certname, producerMs }) {
      await deletions.add([[certname, producerMs]]);
      await peers.tell([[certname, producerMs]]);
    },
    async hear() {
      for (const peer of peers.list) {
        const version = peer.reachable() ? peer.state()?.deletions : undefined;
        if (version === undefined || heard.get(peer.id) === version) continue;
        await deletions.add(await peers.deletionsOf(peer.id));
        heard.set(peer.id, version);
      }
    },
  };
}
