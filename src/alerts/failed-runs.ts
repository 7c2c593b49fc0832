// Agents' failed runs, put together from all couriers into one message for an interval. Pure. The
// record knows up to which each courier's were told, so that a new leader tells none again.

import type { FailedRun, FailedRuns } from "../cluster/failed-runs.ts";
import type { AlertChannel } from "../cluster/schema.ts";
import { emptyMessage, wants } from "./outbox.ts";
import type { AlertState, Message } from "./state.ts";

/** The first failed run waits so long for others: what broke one node breaks many. */
const COLLECT_MS = 120_000;
const NODES_MAX = 40;
const LINES_MAX = 100;
const LINE_MAX = 250;

type Told = NonNullable<AlertState["failedRuns"]>;
const NOTHING_TOLD: Told = { toldMs: 0, seen: {} };

/** What each member's courier has; those that can't be asked aren't there. */
export type CourierRuns = ReadonlyMap<string, FailedRuns>;

/** The digest that is due, and up to where it tells; undefined: none is. */
export function planDigest(
  told: Told | undefined,
  couriers: CourierRuns,
  { everyMs, nowMs }: { everyMs: number; nowMs: number },
): { digest: NonNullable<Message["digest"]>; told: Told } | undefined {
  const { toldMs, seen } = told ?? NOTHING_TOLD;
  // Told in the future: by a leader whose clock was wrong.
  if (toldMs <= nowMs && nowMs - toldMs < everyMs) return undefined;
  const runs: FailedRun[] = [];
  let lost = 0;
  const after: Told["seen"] = { ...seen };
  for (const [member, { life, runs: all }] of couriers) {
    const last = seen[member]?.life === life ? seen[member].number : 0;
    const fresh = all.filter(({ number }) => number > last);
    runs.push(...fresh);
    // Numbers that the courier had to forget before it was asked.
    lost += Math.max(0, (fresh[0]?.number ?? last + 1) - last - 1);
    after[member] = { life, number: fresh.at(-1)?.number ?? last };
  }
  const oldestMs = Math.min(...runs.map(({ takenMs }) => takenMs));
  if (runs.length === 0 || nowMs - oldestMs < COLLECT_MS) return undefined;
  return { digest: renderDigest(runs, lost), told: { toldMs: nowMs, seen: after } };
}

/** One entry for each node, the one that failed last first. */
export function renderDigest(
  runs: readonly FailedRun[],
  lost: number,
): NonNullable<Message["digest"]> {
  const byNode = new Map<string, FailedRun[]>();
  for (const run of runs.toSorted((a, b) => b.takenMs - a.takenMs)) {
    byNode.set(run.certname, [...(byNode.get(run.certname) ?? []), run]);
  }
  const nodes = [...byNode.values()];
  const lines = nodes.slice(0, NODES_MAX).flatMap(nodeLines);
  const cut = lines.slice(0, LINES_MAX).map((line) => line.slice(0, LINE_MAX));
  const more = nodes.length - NODES_MAX;
  return {
    title: nodes.length === 1 ? "runs of 1 node failed" : `runs of ${nodes.length} nodes failed`,
    lines: [
      ...cut,
      ...(lines.length > LINES_MAX ? [`${lines.length - LINES_MAX} lines were left out`] : []),
      ...(more > 0 ? [`and ${more} more nodes`] : []),
      ...(lost > 0 ? [`and ${lost} more runs, too many to be kept`] : []),
    ],
  };
}

function nodeLines([last, ...others]: FailedRun[]): string[] {
  if (last === undefined) return [];
  const at = `${new Date(last.takenMs).toISOString().slice(11, 16)} UTC`;
  const times = others.length === 0 ? "" : `, ${others.length + 1} times`;
  const resources = last.resources.map(({ name, where, message }) => {
    return `  ${name}${where === "" ? "" : ` (${where})`}: ${message}`;
  });
  const more = last.more > 0 ? [`  and ${last.more} more resources`] : [];
  return [`${last.certname} (${last.environment}, ${at}${times})`, ...resources, ...more];
}

/** A message for each channel that wants failed runs. */
export function digestMessages(
  digest: NonNullable<Message["digest"]>,
  channels: readonly AlertChannel[],
  { atMs, newId }: { atMs: number; newId: () => string },
): Message[] {
  return channels
    .filter(wantsFailedRuns)
    .map(({ name }) => ({ ...emptyMessage(name, newId(), atMs), digest }));
}

export function wantsFailedRuns(channel: AlertChannel): boolean {
  return wants(channel, { kind: "agents-failed", severity: "warning" });
}
