// Sees to it that what waits here is kept by another courier too.

import { eachHead } from "./holdings.ts";
import type { PeerCopies } from "./peers.ts";
import { Ranges } from "./ranges.ts";
import type { Spool } from "./spool.ts";

const AT_ONCE = 200;
/** Rounds after a start in which nobody has answered: no longer do the others just start too. */
const ALONE_ROUNDS = 2;

export interface Copies {
  /** No other courier has taken a copy of that number. */
  note(seq: number): void;
  single(): number;
  /** Has copies made where there is none. */
  again(): Promise<void>;
}

/** `done`: the number up to which copies aren't needed any more. */
export function createCopies(spool: Spool, peers: PeerCopies, done: () => number): Copies {
  const singles = new Set<number>();
  // After a start nobody knows what the others have.
  let unknown = true;
  let aloneRounds = 0;
  const noteAll = async () =>
    eachHead(spool, Math.max(spool.first, done() + 1), ({ seq }) => {
      singles.add(seq);
      return true;
    });
  return {
    note: (seq) => void singles.add(seq),
    single: () => singles.size,
    async again() {
      const upTo = done();
      for (const seq of singles) if (seq <= upTo) singles.delete(seq);
      if (!unknown && singles.size === 0) return;
      const lists = await peers.held();
      if (lists.length === 0) {
        aloneRounds += 1;
        // As far as anybody can say here.
        if (unknown && aloneRounds === ALONE_ROUNDS) await noteAll();
        return;
      }
      const held = lists.map((ranges) => new Ranges(ranges));
      for (let at = Math.max(spool.first, upTo + 1); ;) {
        const entries = await spool.read(at, AT_ONCE);
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
