// One round of the sync: compares this server's PuppetDB with the others, brings what is missing,
// and compares again until nothing is. Interrupted, the next one goes on by comparing.

import { messageOf } from "../../base/fault.ts";
import type { PuppetDbClient } from "../puppetdb-client.ts";
import { bring, type Brought } from "./bring.ts";
import { type BroughtKind, type Item, type Left, planNodes, planReports } from "./plan.ts";
import { countReports, readReports, readSummary, readVersion } from "./read.ts";
import type { ReportStamp, Summary, Window } from "./summary.ts";
import type { TriedMemory } from "./tried.ts";
import { refuseVersion } from "./versions.ts";
import { judgeWindow, reportWindows, splitWindow } from "./windows.ts";

/** Comparisons in one round: more find what agents have done meanwhile. */
const PASSES_MAX = 5;

export interface RoundDeps {
  here: PuppetDbClient;
  /** The others that answer; one that is itself being filled proves nothing. */
  others: readonly { client: PuppetDbClient; proves: boolean }[];
  tried: TriedMemory;
  /** Compares every report, not only their numbers. */
  every: boolean;
  /** What it is at, and how far it is. */
  onProgress: (what: string, done: number, of: number) => void;
  /** Told after each comparison of nodes how many queries miss here. */
  onNodes: (lacks: number, level: boolean) => Promise<void>;
  nowMs: () => number;
  /** See settledBy. */
  settledMs: () => number;
  signal: AbortSignal;
}

export interface RoundResult {
  moved: Map<BroughtKind, number>;
  left: Left[];
  /** By other PuppetDB, why it wasn't compared to the end; empty: it was. */
  others: Map<string, string>;
  /** Whether all that the others have is here, but for `left`. */
  whole: boolean;
}

/** Before anything is done. */
export function emptyResult(): RoundResult {
  return { moved: new Map(), left: [], others: new Map(), whole: false };
}

/**
 * Fills `result`, also with what was done before it throws: NotTaken, or why this server's PuppetDB
 * can't be read, or that there is none to compare it with.
 */
export async function runRound(deps: RoundDeps, result: RoundResult): Promise<void> {
  if (deps.others.length === 0) throw new Error("no other PuppetDB answers");
  for (const { client } of deps.others) result.others.set(client.id, "");
  const nodes = await levelNodes(deps, result);
  let reportsWhole = true;
  for (const { client } of deps.others) {
    const there = nodes.there.get(client.id);
    if (there === undefined || !isWell(result, client.id)) continue;
    try {
      const own = { nodesHere: nodes.here, there, deps, result };
      if (!(await levelReports(client, own))) reportsWhole = false;
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      result.others.set(client.id, error.message);
    }
  }
  const compared = [...result.others.values()].every((because) => because === "");
  result.whole = nodes.whole && reportsWhole && compared;
}

function isWell({ others }: RoundResult, id: string): boolean {
  return others.get(id) === "";
}

function add(result: RoundResult, { moved, failed }: Brought): void {
  for (const [kind, count] of moved) result.moved.set(kind, (result.moved.get(kind) ?? 0) + count);
  for (const [id, because] of failed) result.others.set(id, because);
}

/** Another PuppetDB can't be read; the text says why. */
class Unreadable extends Error {}

async function readOther<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw new Unreadable(messageOf(error));
  }
}

interface Nodes {
  here: Summary;
  there: Map<string, Summary>;
  whole: boolean;
}

/** Until nothing is to be brought, or there is too much to be done. */
async function levelNodes(deps: RoundDeps, result: RoundResult): Promise<Nodes> {
  const { others } = result;
  const { here: own, tried, signal } = deps;
  const ownVersion = await readVersion(own, signal);
  for (let pass = 1; ; pass += 1) {
    deps.onProgress("compares nodes", 0, deps.others.length);
    const there = new Map<string, Summary>();
    for (const { client } of deps.others) {
      if (!isWell(result, client.id)) continue;
      try {
        const refusal = refuseVersion(ownVersion, await readVersion(client, signal));
        if (refusal === "") there.set(client.id, await readSummary(client, signal));
        else others.set(client.id, refusal);
      } catch (error) {
        others.set(client.id, messageOf(error));
      }
      deps.onProgress("compares nodes", there.size, deps.others.length);
    }
    signal.throwIfAborted();
    const here = await readSummary(own, signal);
    const times = { nowMs: deps.nowMs(), settledMs: deps.settledMs() };
    const plan = planNodes(here, there, { ...times, tried: (item) => tried.of(item) });
    const whole = plan.bring.length === 0;
    const compared = deps.others.some(({ client, proves }) => proves && isWell(result, client.id));
    await deps.onNodes(plan.bring.filter(({ hides }) => hides).length, whole && compared);
    if (whole || pass === PASSES_MAX) {
      result.left.push(...plan.left);
      return { here, there, whole };
    }
    await bringAll(plan.bring, "brings nodes' data", deps, result);
  }
}

interface Given {
  nodesHere: Summary;
  there: Summary;
  deps: RoundDeps;
  result: RoundResult;
}

/** Returns whether every report is here that `client` has, but for those that are left alone. */
async function levelReports(client: PuppetDbClient, given: Given): Promise<boolean> {
  const { deps, result } = given;
  const windows = reportWindows(deps.nowMs(), deps.settledMs());
  const all = windows.length;
  let whole = true;
  for (let window = windows.shift(); window !== undefined; window = windows.shift()) {
    deps.onProgress("compares days of reports", Math.max(0, all - windows.length), all);
    const is = judgeWindow(window, await countBoth(client, window, deps), deps.every);
    if (is === "split") windows.unshift(...splitWindow(window));
    if (is !== "compare") continue;
    let plan = await compareReports(client, window, given);
    if (plan.bring.length > 0) {
      await bringAll(plan.bring, "brings reports", deps, result);
      // What PuppetDB has made of them.
      plan = await compareReports(client, window, given);
      if (plan.bring.length > 0) whole = false;
    }
    result.left.push(...plan.left);
  }
  return whole;
}

async function countBoth(
  client: PuppetDbClient,
  window: Window,
  { here, signal }: RoundDeps,
): Promise<{ here: number; there: number }> {
  const there = await readOther(async () => countReports(client, window, signal));
  return { here: await countReports(here, window, signal), there };
}

async function compareReports(
  client: PuppetDbClient,
  window: Window,
  { nodesHere, there, deps }: Given,
): Promise<{ bring: Item[]; left: Left[] }> {
  const { here, signal, tried } = deps;
  const reports = await readOther(async () => {
    const all: ReportStamp[] = [];
    for await (const report of readReports(client, window, signal)) all.push(report);
    return all;
  });
  const hashes = new Set<string>();
  for await (const { hash } of readReports(here, window, signal)) hashes.add(hash);
  return planReports(
    hashes,
    { from: client.id, reports, nodes: there },
    { tried: (item) => tried.of(item), nodesHere },
  );
}

async function bringAll(
  items: readonly Item[],
  what: string,
  deps: RoundDeps,
  result: RoundResult,
): Promise<void> {
  let done = 0;
  const brought: Brought = { moved: new Map(), failed: new Map() };
  deps.onProgress(what, done, items.length);
  try {
    await bring(items, brought, {
      here: deps.here,
      others: new Map(deps.others.map(({ client }) => [client.id, client])),
      tried: deps.tried,
      onDone: () => deps.onProgress(what, (done += 1), items.length),
      nowMs: deps.nowMs,
      signal: deps.signal,
    });
  } finally {
    add(result, brought);
  }
}
