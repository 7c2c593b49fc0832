// How the daemon tells a side's keeper what to do, and waits for it: by files, so that either may
// start anew meanwhile.

import { rm } from "node:fs/promises";
import { Fault } from "../../base/fault.ts";
import { until } from "../../base/retry.ts";
import { makeFolder, readIfThere, writeFileAtomic } from "../../host/files.ts";
import { readProgress } from "./observe.ts";
import { Order, type Phase, Progress, type SwitchoverPaths } from "./order.ts";

const LOOK_MS = 20;

/** Gives the side an order; a keeper takes it up when it starts, or within a second. */
export async function giveOrder(paths: SwitchoverPaths, order: Order): Promise<void> {
  await makeFolder(paths.folder);
  await Promise.all([paths.go, paths.end, paths.ended].map((path) => rm(path, { force: true })));
  await writeFileAtomic(paths.order, `${JSON.stringify(order)}\n`);
}

/** Has the old side tell its keepalived to let go. */
export async function orderHandOver(paths: SwitchoverPaths): Promise<void> {
  await writeFileAtomic(paths.go, "");
}

/**
 * Has the side put everything back; with `id`, only if it is at that order. Returns whether there
 * was anything.
 */
export async function orderEnd(paths: SwitchoverPaths, id?: string): Promise<boolean> {
  const text = await readIfThere(paths.order);
  if (text === undefined) return false;
  if (id !== undefined && Order.parse(JSON.parse(text)).id !== id) return false;
  await writeFileAtomic(paths.end, "");
  return true;
}

/**
 * Waits until the order `id` is in one of `phases`. Throws Fault `switchover.ended` with the reason
 * when it ended instead, `base.deadline`.
 */
export async function untilPhase(
  paths: SwitchoverPaths,
  id: string,
  phases: readonly Phase[],
  options: { withinMs: number; signal?: AbortSignal },
): Promise<Progress> {
  const look = async () => {
    const now = await readProgress(paths);
    if (now?.order.id === id && phases.includes(now.phase)) return now;
    const ended = await readEnded(paths);
    if (ended?.order.id !== id) return undefined;
    if (phases.includes("ended")) return ended;
    throw new Fault("switchover.ended", `the ${ended.order.side} side ended: ${ended.because}`);
  };
  return until(`phase ${phases.join(" or ")}`, look, { ...options, everyMs: LOOK_MS });
}

/** How the last one ended here; undefined when there was none, or one goes on. */
export async function readEnded(paths: SwitchoverPaths): Promise<Progress | undefined> {
  const text = await readIfThere(paths.ended);
  return text === undefined ? undefined : Progress.safeParse(JSON.parse(text)).data;
}
