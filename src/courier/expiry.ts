// When a node that is silent counts as gone. Pure. PuppetDB's own clock can't tell a node that is
// gone from a week in which no server took anything; then it hides all nodes, and the first agents
// purge what the others export. The idea: silence counts only while nodes were heard.

import { z } from "zod";

/** No site that runs is silent for so long; a shorter life of nodes has a shorter one. */
const GAP_MS = 86_400_000;
const GAPS_IN_TTL = 4;
/**
 * A node's command that is on its way is newer than its deactivation, which is therefore dated
 * back: PuppetDB keeps what is newer.
 */
const BACK_MS = 3_600_000;

/** Since when nodes are heard without a gap, and when one was last; milliseconds since the epoch. */
export const Hearing = z.object({ sinceMs: z.number(), lastMs: z.number() });
export type Hearing = z.infer<typeof Hearing>;

/** A node that is active, and when the PuppetDB got anything of it last. */
export interface Silent {
  certname: string;
  lastMs: number;
}

/** What is known of the hearing after a look; `before` undefined: the first. */
export function hear(
  before: Hearing | undefined,
  nodes: readonly Silent[],
  { nowMs, ttlMs }: { nowMs: number; ttlMs: number },
): Hearing {
  const lastMs = nodes.reduce((newest, node) => Math.max(newest, node.lastMs), 0);
  if (before === undefined) return { sinceMs: nowMs, lastMs };
  const broken = lastMs - before.lastMs > gapOf(ttlMs);
  return { sinceMs: broken ? lastMs : before.sinceMs, lastMs: Math.max(lastMs, before.lastMs) };
}

/** The nodes that are gone, with the time to deactivate them by; none where nobody is heard. */
export function planExpiry(
  nodes: readonly Silent[],
  hearing: Hearing,
  { nowMs, ttlMs }: { nowMs: number; ttlMs: number },
): { certname: string; producerMs: number }[] {
  if (nowMs - hearing.sinceMs <= ttlMs || nowMs - hearing.lastMs > gapOf(ttlMs)) return [];
  const backMs = Math.min(BACK_MS, ttlMs / GAPS_IN_TTL);
  return nodes
    .filter(({ lastMs }) => nowMs - lastMs > ttlMs)
    .map(({ certname }) => ({ certname, producerMs: nowMs - backMs }));
}

function gapOf(ttlMs: number): number {
  return Math.min(GAP_MS, ttlMs / GAPS_IN_TTL);
}
