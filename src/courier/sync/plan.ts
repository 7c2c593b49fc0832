// What this server's PuppetDB is to be brought from the others. Pure. The idea: of each node and
// kind the newest producer timestamp wins; what has the same one is the same, whatever its hash, or
// two PuppetDBs that store a number differently would send it to each other for ever. Danger:
// bringing a node that the others have found gone makes it appear again.

import {
  isActive,
  newestMs,
  NODE_KINDS,
  type NodeKind,
  type NodeSummary,
  type ReportStamp,
  type Summary,
} from "./summary.ts";

/** What is younger is on its way through the couriers, unless it was stored and is lost again. */
export const GRACE_MS = 120_000;
/**
 * What is older is left alone: PuppetDB drops reports, and nodes that are gone, after 14 days by
 * default, and each would bring the other what that has just dropped.
 */
export const KEEP_MS = 13 * 86_400_000;

/**
 * Whatever was made up to then is on no way any more. `doubtMs`: when the PuppetDB was last found
 * to be up after it was down, or to have lost something; what it had stored a moment before may be
 * gone too. Both are milliseconds since the epoch.
 */
export function settledBy(nowMs: number, doubtMs: number): number {
  return Math.min(nowMs, Math.max(nowMs - GRACE_MS, doubtMs));
}

/** `revival`: a node that has expired here only is to appear again. */
export type BroughtKind = NodeKind | "deactivation" | "revival" | "report";

/** One thing to bring here. */
export interface Item {
  kind: BroughtKind;
  certname: string;
  /** The PuppetDB that has it. */
  from: string;
  /** Its producer timestamp; of a revival, that of the newest data of the node. */
  ms: number;
  /** Of a report. */
  hash?: string;
  /** Whether queries lack the node as long as it isn't brought. */
  hides: boolean;
}

export interface Left {
  kind: BroughtKind;
  certname: string;
  because: string;
}

/** What is to be brought, in this order, and what differs and stays so. */
export interface NodePlan {
  bring: Item[];
  left: Left[];
}

/** Why an item isn't tried once more; undefined: it may be. */
export type Tried = (item: Item) => string | undefined;

/** Compares nodes: `here`, and by PuppetDB in `there`. */
export function planNodes(
  here: Summary,
  there: ReadonlyMap<string, Summary>,
  { nowMs, settledMs, tried }: { nowMs: number; settledMs: number; tried: Tried },
): NodePlan {
  const certnames = new Set([...there.values()].flatMap((summary) => [...summary.keys()]));
  const plan: NodePlan = { bring: [], left: [] };
  for (const certname of certnames) {
    const own = here.get(certname);
    const others = [...there].flatMap(([from, summary]) => {
      const node = summary.get(certname);
      return node === undefined ? [] : [{ from, node }];
    });
    for (const each of planNode(certname, own, others, { nowMs, settledMs })) {
      const because = "because" in each ? each.because : tried(each);
      if (because === undefined) plan.bring.push(each as Item);
      else plan.left.push({ kind: each.kind, certname, because });
    }
  }
  plan.bring.sort((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  return plan;
}

/**
 * What is gone first, so that its data doesn't appear for a moment; then what has expired here,
 * before its data: interrupted in between, only the data would tell that it must.
 */
const ORDER: readonly BroughtKind[] = ["deactivation", "revival", "catalog", "facts", "inputs"];

interface Other {
  from: string;
  node: NodeSummary;
}

function planNode(
  certname: string,
  own: NodeSummary | undefined,
  others: readonly Other[],
  { nowMs, settledMs }: { nowMs: number; settledMs: number },
): (Item | Left)[] {
  const made: (Item | Left)[] = [];
  const oldest = nowMs - KEEP_MS;
  const gone = newestOf(others, ({ deactivatedMs }) => deactivatedMs);
  const ranMs = Math.max(newestMs(own ?? {}), ...others.map(({ node }) => newestMs(node)));
  const isGone = gone !== undefined && gone.ms >= ranMs;
  if (isGone && own === undefined && gone.ms < oldest) {
    return [{ kind: "deactivation", certname, because: "deactivated long ago, and unknown here" }];
  }
  if (isGone && gone.ms > (own?.deactivatedMs ?? -Infinity) && gone.ms <= settledMs) {
    made.push({ kind: "deactivation", certname, from: gone.from, ms: gone.ms, hides: false });
  }
  const revival = isGone ? undefined : planRevival(certname, own, others);
  if (revival !== undefined) made.push(revival);
  for (const kind of NODE_KINDS) {
    const newest = newestOf(others, (node) => node[kind]?.ms);
    if (newest === undefined || newest.ms <= (own?.[kind]?.ms ?? -Infinity)) continue;
    if (newest.ms > settledMs) continue;
    const alive = newestOf(others, (node) =>
      node.expiredMs === undefined ? node[kind]?.ms : undefined,
    );
    if (alive?.ms === newest.ms) {
      const hides = kind === "catalog" && own?.catalog === undefined && !isGone;
      made.push({ kind, certname, from: alive.from, ms: alive.ms, hides });
    } else {
      made.push({ kind, certname, because: "the node has expired there" });
    }
  }
  return made;
}

/**
 * PuppetDB's clearing hides a node whose data was old when it looked, and newer data that was made
 * before that look doesn't bring it back. Whoever shows the node by its data proves that wrong. One
 * that only was revived itself proves nothing, or two would keep a dead node alive for ever.
 */
function planRevival(
  certname: string,
  own: NodeSummary | undefined,
  others: readonly Other[],
): Item | undefined {
  if (own?.expiredMs === undefined) return undefined;
  const shown = newestOf(others, (node) => {
    const dataMs = newestMs(node);
    const byData = isActive(node) && (node.revivedMs ?? -Infinity) < dataMs;
    return byData && dataMs >= newestMs(own) ? dataMs : undefined;
  });
  if (shown === undefined || Math.max(own.revivedMs ?? 0, own.deactivatedMs ?? 0) >= shown.ms) {
    return undefined;
  }
  return { kind: "revival", certname, from: shown.from, ms: shown.ms, hides: true };
}

/** The latest that `msOf` gives of any, and who has it. */
function newestOf(
  others: readonly Other[],
  msOf: (node: NodeSummary) => number | undefined,
): { from: string; ms: number } | undefined {
  let newest: { from: string; ms: number } | undefined;
  for (const { from, node } of others) {
    const ms = msOf(node);
    if (ms !== undefined && Number.isFinite(ms) && ms > (newest?.ms ?? -Infinity)) {
      newest = { from, ms };
    }
  }
  return newest;
}

/**
 * Reports of one PuppetDB that aren't `here`, by hash. `left` has what is left alone: reports of
 * nodes that are gone for longer than they are kept.
 */
export function planReports(
  here: ReadonlySet<string>,
  there: { from: string; reports: readonly ReportStamp[]; nodes: Summary },
  { tried, nodesHere }: { tried: Tried; nodesHere: Summary },
): NodePlan {
  const plan: NodePlan = { bring: [], left: [] };
  for (const { certname, hash, ms } of there.reports) {
    if (here.has(hash)) continue;
    const item: Item = { kind: "report", certname, from: there.from, ms, hash, hides: false };
    const isForgotten =
      there.nodes.get(certname)?.deactivatedMs !== undefined && !nodesHere.has(certname);
    const because = isForgotten ? "its node was deactivated long ago" : tried(item);
    if (because === undefined) plan.bring.push(item);
    else plan.left.push({ kind: "report", certname, because });
  }
  return plan;
}
