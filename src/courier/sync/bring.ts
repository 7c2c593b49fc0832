// Brings items here: reads them from the PuppetDBs that have them, a few at a time, and sends them
// as commands to this server's. Danger: PuppetDB never answers about a command that it can't
// understand, so no answer in time means that only the next comparison tells.

import { messageOf } from "../../base/fault.ts";
import { isoTime } from "../../host/clock.ts";
import { judgeAnswer } from "../delivery-plan.ts";
import type { PuppetDbClient } from "../puppetdb-client.ts";
import { batchesOf, type Batch } from "./batches.ts";
import { commandOfRow, deactivation, revival, type SyncCommand } from "./command-of.ts";
import type { BroughtKind, Item } from "./plan.ts";
import { readRows } from "./read.ts";
import type { TriedMemory } from "./tried.ts";

/** Commands of the sync that PuppetDB works on at most: agents' runs go on meanwhile. */
const AT_ONCE_MAX = 3;

/** This server's PuppetDB takes nothing now. */
export class NotTaken extends Error {}

/** What came of it. */
export interface Brought {
  moved: Map<BroughtKind, number>;
  /** By PuppetDB that couldn't be read, why; its other items wait for the next round. */
  failed: Map<string, string>;
}

export interface BringDeps {
  here: PuppetDbClient;
  others: ReadonlyMap<string, PuppetDbClient>;
  tried: TriedMemory;
  /** Told after each item. */
  onDone: () => void;
  nowMs: () => number;
  signal: AbortSignal;
}

/** Brings `items` in their order, and notes in `brought` what came of it. Throws NotTaken. */
export async function bring(
  items: readonly Item[],
  brought: Brought,
  deps: BringDeps,
): Promise<void> {
  for (const batch of batchesOf(items)) {
    if (brought.failed.has(batch.from)) continue;
    const sending = createSending(brought, deps);
    try {
      for await (const [item, made] of commandsOf(batch, deps)) {
        if ("because" in made) sending.leave(item, made.because);
        else await sending.add(item, made);
        if (sending.refused() !== undefined) break;
      }
    } catch (error) {
      brought.failed.set(batch.from, messageOf(error));
    } finally {
      await sending.ended();
    }
    deps.signal.throwIfAborted();
    const because = sending.refused();
    if (because !== undefined) throw new NotTaken(because);
  }
}

type Made = SyncCommand | { because: string };

/** The commands of a batch; what its PuppetDB doesn't have any more is left out. */
async function* commandsOf(
  { kind, from, items }: Batch,
  { others, nowMs, signal }: BringDeps,
): AsyncGenerator<[Item, Made]> {
  if (kind === "deactivation" || kind === "revival") {
    for (const item of items) {
      const { certname, ms } = item;
      if (kind === "revival") yield [item, revival(certname, isoTime(nowMs()))];
      else yield [item, deactivation(certname, isoTime(ms))];
    }
    return;
  }
  const other = others.get(from);
  if (other === undefined) return;
  const byName = new Map(items.map((item) => [item.hash ?? item.certname, item]));
  for await (const text of readRows(other, kind, [...byName.keys()], signal)) {
    const { name, ...made } = commandOfRow(kind, text);
    const item = byName.get(name);
    if (item !== undefined) yield [item, made];
  }
}

/** Sends a few commands at a time. */
function createSending(brought: Brought, { here, tried, onDone, signal }: BringDeps) {
  const running = new Set<Promise<void>>();
  let refused: string | undefined;
  const leave = (item: Item, because: string) => {
    tried.note(item, { final: true, because });
    onDone();
  };
  const send = async (item: Item, { head, body }: SyncCommand) => {
    const { is, because } = judgeAnswer(await here.send(head, body, signal), 1);
    if (signal.aborted) return;
    if (is === "later") refused = because;
    else if (is === "dead") leave(item, `PuppetDB refuses it: ${because}`);
    else {
      const final = is === "done";
      if (final) brought.moved.set(item.kind, (brought.moved.get(item.kind) ?? 0) + 1);
      tried.note(item, { final, because: final ? "brought once, and not kept" : because });
      onDone();
    }
  };
  return {
    leave,
    /** Resolves when there is room for the next one. */
    async add(item: Item, command: SyncCommand): Promise<void> {
      const one = send(item, command).finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE_MAX) await Promise.race(running);
    },
    refused: () => refused,
    ended: async () => Promise.all(running),
  };
}
