// The second copy of what waits here: made when another courier is back, and looked for anew after
// a start, when nobody knows what the others have.

import type { CourierPeers } from "./peers.ts";
import { Ranges } from "./ranges.ts";
import type { Spool } from "./spool.ts";

const COPY_AGAIN_AT_ONCE = 200;

/** Sees to it that what waits here is kept by another courier too. */
export function createCopies(spool: Spool, peers: CourierPeers, done: () => number) {
  const singles = new Set<number>();
  // After a start nobody knows what the others have.
  let unknown = true;
  return {
    note: (seq: number) => void singles.add(seq),
    single: () => singles.size,
    async again() {
      const upTo = done();
      for (const seq of singles) if (seq <= upTo) singles.delete(seq);
      if (!unknown && singles.size === 0) return;
      const lists = await peers.held();
      if (lists.length === 0) return;
      const held = lists.map((ranges) => new Ranges(ranges));
      for (let at = Math.max(spool.first, upTo + 1); ;) {
        const entries = await spool.read(at, COPY_AGAIN_AT_ONCE);
        for (const { seq, head } of entries) {
          if (held.some((ranges) => ranges.has(seq))) {
            singles.delete(seq);
            continue;
          }
          const body = await spool.body(seq);
          if (body === undefined) continue;
          if ((await peers.copy(seq, head, body)) === undefined) return void singles.add(seq);
          singles.delete(seq);
        }
        const last = entries.at(-1);
        if (last === undefined) break;
        at = last.seq + 1;
      }
      unknown = false;
    },
  };
}
