// When a member's own certificates are renewed: at half of their life, members spread over a month,
// so that few are due on one day. Pure.

import { createHash } from "node:crypto";
import type { LeafName } from "./pki.ts";

const DAY_MS = 86_400_000;
/** Members' renewals are spread over so many days. */
const SPREAD_DAYS = 30;
/** A renewal that is overdue for longer is warned of: a member may be off for some days. */
const OVERDUE_MS = 7 * DAY_MS;

/** A leaf's certificate on this member's disk; times in ms since the epoch. */
export interface OwnLeaf {
  leaf: LeafName;
  notBefore: number;
  notAfter: number;
}

/** The leaves that are due at `nowMs` on the member `id`. */
export function dueLeaves(leaves: readonly OwnLeaf[], id: string, nowMs: number): LeafName[] {
  return leaves.filter((leaf) => nowMs >= dueMs(leaf, id)).map(({ leaf }) => leaf);
}

/** Warnings for the status of the member `id`, of leaves that should have been renewed by now. */
export function leafWarnings(
  leaves: readonly OwnLeaf[],
  id: string,
  nowMs: number,
  because: string,
): string[] {
  return leaves
    .filter((leaf) => nowMs >= dueMs(leaf, id) + OVERDUE_MS)
    .map(({ leaf, notAfter }) => {
      const end = new Date(notAfter).toISOString();
      return `its ${leaf} certificate for the cluster should have been renewed, and ends at ${end}: ${because}`;
    });
}

/** When `leaf` is due: half of its life, and up to 30 days that depend on the member's name. */
function dueMs({ notBefore, notAfter }: OwnLeaf, id: string): number {
  const spread = createHash("sha256").update(id).digest().readUInt16BE(0) % SPREAD_DAYS;
  return (notBefore + notAfter) / 2 + spread * DAY_MS;
}
