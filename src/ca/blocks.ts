// Serial numbers: each member takes them from blocks that it reserved in the record, so that none
// is ever given twice. A second kind of block is for stock Puppet tools that work on the CA
// directory.
// Danger: a serial left over in a block is free for this member only; a restart finds it again.

import { Fault } from "../base/fault.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { blockKey, encodeValue, SERIAL_KEY, type BlockValue } from "./record.ts";
import { SERIAL_MAX, serialOf, type Serial } from "./serial.ts";
import { unchanged, type Store } from "./store.ts";
import type { z } from "zod";

type Block = z.infer<typeof BlockValue>;

/** Serials reserved at once by a member that signs. */
export const ISSUE_BLOCK_SIZE = 128;
/** Serials reserved at once for stock tools. */
export const DIRECTORY_BLOCK_SIZE = 64;
/**
 * A block for stock tools is left for a new one when fewer than these are free: as many as they can
 * take between two looks at the `serial` file.
 */
const DIRECTORY_BLOCK_FREE_MIN = 32;
/** Attempts at a reservation while other members reserve too. */
const RESERVE_TRIES_MAX = 50;

export interface Blocks {
  /**
   * A serial that nobody else will ever use. Throws Fault `ca.serials-exhausted`, `ca.no-record`,
   * `etcd.…`.
   */
  take(): Promise<Serial>;
  /** Returns a serial that was taken and for certain not used. */
  giveBack(serial: Serial): void;
  /**
   * The block for stock tools on this member that holds `next`, as the `serial` file says, and has
   * room; else a new one. While the file goes on saying `next`, it is the same new one.
   */
  directoryBlock(next: number | undefined, signal?: AbortSignal): Promise<Block>;
}

export function createBlocks(store: Store, member: string): Blocks {
  const { tables } = store.mirror;
  let free: Serial[] | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** The newest block for stock tools, until the `serial` file is seen in one. */
  let unseen: { next: number | undefined; from: number } | undefined;

  const own = (use: Block["use"]) =>
    [...tables.blocks.rows()].filter((block) => block.member === member && block.use === use);
  const takeNext = async (): Promise<Serial> => {
    if (await store.ensureLoaded()) free = undefined;
    free ??= own("issue").flatMap((block) => unused(block));
    // Those of before a restart may have been used since by a daemon of the same name elsewhere;
    // the compare at signing finds that out, too.
    if (free.length === 0) free = unused(await reserve(store, member, "issue"));
    const serial = free.shift();
    if (serial === undefined) return takeNext();
    return tables.certs.has(serial) ? takeNext() : serial;
  };
  const unused = ({ from, to }: Block): Serial[] =>
    Array.from({ length: to - from + 1 }, (_, index) => serialOf(from + index)).filter(
      (serial) => !tables.certs.has(serial),
    );

  return {
    take() {
      const taken = turn.then(takeNext);
      turn = taken.catch(() => undefined);
      return taken;
    },
    giveBack(serial) {
      free?.unshift(serial);
    },
    async directoryBlock(next, signal) {
      const blocks = own("directory");
      const block = blocks.find(
        ({ from, to }) =>
          next !== undefined && next >= from && next + DIRECTORY_BLOCK_FREE_MIN - 1 <= to,
      );
      if (block !== undefined) {
        unseen = undefined;
        return block;
      }
      // A file that says what it said then was not written: nobody has taken a serial from there.
      const unused = blocks.find(({ from }) => from === unseen?.from && next === unseen.next);
      if (unused !== undefined) return unused;
      const fresh = await reserve(store, member, "directory", signal);
      unseen = { next, from: fresh.from };
      return fresh;
    },
  };
}

async function reserve(
  store: Store,
  member: string,
  use: Block["use"],
  signal?: AbortSignal,
): Promise<Block> {
  const size = use === "issue" ? ISSUE_BLOCK_SIZE : DIRECTORY_BLOCK_SIZE;
  const { serial } = store.mirror.tables;
  for (let tries = 0; tries < RESERVE_TRIES_MAX; tries += 1) {
    const next = serial.get("")?.next;
    if (next === undefined) throw noRecord();
    if (next > SERIAL_MAX) {
      throw new Fault("ca.serials-exhausted", `all serial numbers up to ${SERIAL_MAX} are used`, {
        hints: ["Puppet Server reads no larger ones. A new certificate authority is needed."],
      });
    }
    const to = Math.min(next + size - 1, SERIAL_MAX);
    const block: Block = { from: next, to, member, use, at: isoTime(wallMs()) };
    const put = { put: blockKey(serialOf(next)), value: encodeValue(block) };
    const commit = {
      when: [unchanged(SERIAL_KEY, serial.revisionOf(""))],
      then: [put, { put: SERIAL_KEY, value: encodeValue({ next: to + 1 }) }],
      settle: { key: put.put, value: put.value },
    };
    const done = await store.commit(commit, signal);
    if (done.ok) return block;
  }
  throw new Fault("ca.busy", `no block of serials in ${RESERVE_TRIES_MAX} attempts: try again`);
}

/** The Fault for a record in which there is no CA yet. */
export function noRecord(): Fault {
  return new Fault("ca.no-record", "there is no certificate authority in the record", {
    hints: ["Create or import one first: understudy init"],
  });
}
