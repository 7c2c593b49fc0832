// Why something is so: from what members say now, what their loops planned last and what happened.
// Pure, and in the same words everywhere. It needs no etcd: what can't be had is named.

import { z } from "zod";
import { findMember } from "../find-member.ts";
import type { Evidence } from "../history/evidence.ts";
import type { ClusterStatus } from "../status.ts";
import { explainAddress } from "./address.ts";
import { explainCa, explainPuppetdb } from "./services.ts";
import { explainMember, explainReadiness } from "./members.ts";

/** One thing that speaks for the verdict. */
const Line = z.object({
  /** When, milliseconds since the epoch; absent: now. */
  atMs: z.number().optional(),
  /** Whose word it is, and of what: "s1: status", `s2: loop "edge"`. */
  source: z.string(),
  what: z.string(),
});
export type Line = z.infer<typeof Line>;

export const Explanation = z.object({
  about: z.string(),
  verdict: z.string(),
  evidence: z.array(Line),
  /** What to type. */
  todo: z.array(z.string()),
  /** Members that couldn't be asked, and why: what they know is missing. */
  missing: z.array(z.object({ member: z.string(), because: z.string() })),
});
export type Explanation = z.infer<typeof Explanation>;

/** All that an explanation is made of. */
export interface Case {
  status: ClusterStatus;
  evidence: readonly Evidence[];
}

/** What a topic says, before it is put in order. */
export type Said = Omit<Explanation, "missing" | "about">;

/** Lines that are shown at most, the newest. */
const LINES_MAX = 25;

/** What can be asked for besides a member. */
export const TOPICS = {
  vip: explainAddress,
  ca: explainCa,
  puppetdb: explainPuppetdb,
  "not-ready": explainReadiness,
} satisfies Record<string, (given: Case) => Said>;

/**
 * Explains `about`: a topic or a member. Throws Fault `member.not-found`, `member.ambiguous` for
 * what is neither.
 */
export function explain(about: string, given: Case, missing: Explanation["missing"]): Explanation {
  const { members } = given.status;
  const topic = Object.hasOwn(TOPICS, about) ? TOPICS[about as keyof typeof TOPICS] : undefined;
  const ids = members.map(({ member }) => member.id);
  const said = topic?.(given) ?? explainMember(given, findMember(ids, about));
  return { about, ...said, evidence: inOrder(said.evidence), missing };
}

/** What happened by its time, the newest of it; then what is so now. */
function inOrder(lines: readonly Line[]): Line[] {
  const now = lines.filter(({ atMs }) => atMs === undefined);
  const past = lines
    .filter(({ atMs }) => atMs !== undefined)
    .toSorted((a, b) => (a.atMs ?? 0) - (b.atMs ?? 0));
  return [...past.slice(-LINES_MAX), ...now.slice(0, LINES_MAX)];
}
