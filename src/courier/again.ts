// Commands that one PuppetDB fails at, to be tried apart: those that it failed at several times,
// and dead letters that somebody has tried again. Each goes into a spool of its PuppetDB's own, and
// from there through the same delivery as any other command, but to that PuppetDB alone.

import { join } from "node:path";
import type { DeadLetter, DeadLetters } from "./dead-letters.ts";
import type { ProgressFile } from "./progress-file.ts";
import type { SpooledHead } from "./frame.ts";
import { openSpool, type Spool } from "./spool.ts";

/** Names their progress among that of the spools of couriers, which have another form. */
export const AGAIN = "again";

export interface Again {
  /** By PuppetDB. */
  spools: ReadonlyMap<string, Spool>;
  /** Has it tried again; it is no dead letter then. Throws Fault `courier.spool-…`. */
  retry(letter: DeadLetter): Promise<void>;
  /** Has a command tried apart from what comes after it. Throws Fault `courier.spool-…`. */
  take(puppetdb: string, head: SpooledHead, body: Buffer): Promise<void>;
  /** How many wait for a PuppetDB. */
  waiting(puppetdb: string): number;
  /** Forgets what has been tried. */
  release(): Promise<void>;
  close(): Promise<void>;
}

/** Opens their spools below `folder`. `wake`: something is to be delivered. */
export async function openAgain(
  folder: string,
  puppetdbs: readonly string[],
  deps: { dead: DeadLetters; progress: ProgressFile; bytesMax?: number; wake: () => void },
): Promise<Again> {
  const limit = deps.bytesMax === undefined ? {} : { bytesMax: deps.bytesMax };
  const spools = new Map<string, Spool>();
  for (const id of puppetdbs) spools.set(id, await openSpool(join(folder, id), limit));
  const take: Again["take"] = async (puppetdb, head, body) => {
    const spool = spools.get(puppetdb);
    if (spool === undefined) throw new RangeError(`couriers know no PuppetDB ${puppetdb}`);
    await spool.append(head, body);
    deps.wake();
  };
  return {
    spools,
    take,
    async retry(letter) {
      const body = await deps.dead.body(letter);
      if (body === undefined) return;
      // In this order: killed in between, it is tried, and still there to be tried once more.
      await take(letter.puppetdb, letter.head, body);
      await deps.dead.remove(letter);
    },
    waiting(puppetdb) {
      const [spool, done] = [spools.get(puppetdb), deps.progress.of(AGAIN, puppetdb)];
      if (spool === undefined) return 0;
      done.startAt(spool.first);
      return spool.next - 1 - done.upTo - done.aheadCount;
    },
    async release() {
      for (const [id, spool] of spools) {
        const { upTo } = deps.progress.of(AGAIN, id);
        if (upTo >= spool.first) await spool.drop(upTo);
      }
    },
    async close() {
      for (const spool of spools.values()) await spool.close();
    },
  };
}
