// Items in the portions that one query asks for. Pure.

import type { BroughtKind, Item } from "./plan.ts";

/** Items of one kind, from one PuppetDB. */
export interface Batch {
  kind: BroughtKind;
  from: string;
  items: Item[];
}

/** Catalogs of a hundred at once took seconds, all of a site a quarter of a minute. */
export const BATCH_ITEMS_MAX = 20;
/** Of names: the query for facts must fit into the head of a request, 8 KiB. */
export const BATCH_CHARACTERS_MAX = 2500;

/** Cuts `items` into batches, in their order; those of one kind are together whoever has them. */
export function batchesOf(items: readonly Item[]): Batch[] {
  const done: Batch[] = [];
  const open = new Map<string, { batch: Batch; characters: number }>();
  let kind: BroughtKind | undefined;
  for (const item of items) {
    if (item.kind !== kind) open.clear();
    ({ kind } = item);
    const characters = (item.hash ?? item.certname).length;
    const now = open.get(item.from);
    const fits =
      now !== undefined &&
      now.batch.items.length < BATCH_ITEMS_MAX &&
      now.characters + characters <= BATCH_CHARACTERS_MAX;
    if (fits) {
      now.batch.items.push(item);
      now.characters += characters;
      continue;
    }
    const batch: Batch = { kind, from: item.from, items: [item] };
    open.set(item.from, { batch, characters });
    done.push(batch);
  }
  return done;
}
