// Copies of commands that other couriers have taken: kept until their courier says that every
// PuppetDB has them, and delivered from here when that courier is gone.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../host/files.ts";
import { Progress } from "./progress.ts";
import { Ranges, type Range } from "./ranges.ts";
import type { SpooledHead } from "./frame.ts";
import { openSpool, type Spool, type SpoolOptions } from "./spool.ts";

const READ_AT_ONCE = 1000;

/** What is held for one courier. */
export interface Holding {
  origin: string;
  spool: Spool;
  /** The lowest number of the spool here that isn't released yet. */
  first(): number;
  /** Which of its commands are held, by its own numbers. */
  held(): Range[];
}

export interface Holdings {
  /** Keeps a copy; resolves when it is on disk. Throws Fault `courier.spool-…`. */
  keep(origin: string, seq: number, head: SpooledHead, body: Buffer): Promise<void>;
  /** All that `origin` took up to its number `upTo` is in every PuppetDB. */
  release(origin: string, upTo: number): Promise<void>;
  /** What is held for `origin`; opened if need be. */
  of(origin: string): Promise<Holding>;
  all(): Holding[];
  close(): Promise<void>;
}

/** Names of spools, and of folders here: a member's id and what tells its spools apart. */
const ORIGIN = /^(?!\.)[a-z0-9._-]{1,230}(?:\+[0-9a-f]{1,16})?$/;

interface Kept extends Holding {
  seqs: Ranges;
  released: Progress;
}

/** Opens what is held below `folder`. */
export async function openHoldings(folder: string, options: SpoolOptions = {}): Promise<Holdings> {
  await makeFolder(folder, { mode: 0o700 });
  const kept = new Map<string, Promise<Kept>>();
  const opened = new Map<string, Kept>();
  const ensure = (origin: string): Promise<Kept> => {
    if (!ORIGIN.test(origin)) throw new RangeError(`${origin} is no spool's name`);
    let found = kept.get(origin);
    if (found === undefined) {
      found = openHolding(origin, join(folder, origin), options).then((one) => {
        opened.set(origin, one);
        return one;
      });
      kept.set(origin, found);
      found.catch(() => kept.delete(origin));
    }
    return found;
  };
  for (const origin of await readdir(folder)) await ensure(origin);
  return {
    of: ensure,
    all: () => [...opened.values()],
    async keep(origin, seq, head, body) {
      const holding = await ensure(origin);
      if (holding.seqs.has(seq)) return;
      await holding.spool.append({ ...head, originSeq: seq }, body);
      holding.seqs.add(seq);
    },
    async release(origin, upTo) {
      const holding = await ensure(origin);
      // While its courier was gone, this one delivered from it and dropped what was done.
      holding.released.startAt(holding.spool.first);
      holding.seqs.dropUpTo(upTo);
      await eachHead(holding.spool, holding.first(), ({ seq, head }) => {
        if ((head.originSeq ?? 0) > upTo) return false;
        // Not only this one: what is missing before it on a damaged disk never comes.
        holding.released.startAt(seq + 1);
        return true;
      });
      await holding.spool.drop(holding.released.upTo);
    },
    async close() {
      for (const { spool } of opened.values()) await spool.close();
    },
  };
}

async function openHolding(origin: string, folder: string, options: SpoolOptions): Promise<Kept> {
  const spool = await openSpool(folder, options);
  const seqs = new Ranges();
  await eachHead(spool, spool.first, ({ head }) => {
    seqs.add(head.originSeq ?? 0);
    return true;
  });
  const released = new Progress();
  released.startAt(spool.first);
  return {
    origin,
    spool,
    seqs,
    released,
    first: () => released.upTo + 1,
    held: () => seqs.list(),
  };
}

/** Calls `look` for each command from number `from` on, until it returns false. */
export async function eachHead(
  spool: Spool,
  from: number,
  look: (entry: { seq: number; head: SpooledHead }) => boolean,
): Promise<void> {
  for (let at = from; ;) {
    const entries = await spool.read(at, READ_AT_ONCE);
    for (const entry of entries) if (!look(entry)) return;
    const last = entries.at(-1);
    if (last === undefined) return;
    at = last.seq + 1;
  }
}
