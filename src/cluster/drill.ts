// Drills as the record and the settings know them: the closed list of kinds, and the mark of the
// one that is under way. One key with all other planned work, so that whoever decides on one
// compares the others. Danger: whoever drives it may die, so the mark ends by itself.

import { z } from "zod";

/** What may be broken on purpose; what each means is drill/kinds.ts. */
export const DRILL_KINDS = [
  "puppetserver-kill",
  "edge-kill",
  "daemon-kill",
  "vip-move",
  "etcd-loss",
  "server-isolate",
  "puppetdb-kill",
] as const;
export const DrillKind = z.enum(DRILL_KINDS);
export type DrillKind = z.infer<typeof DrillKind>;

/** Also part of the names of units and files. */
export const DrillId = z.string().regex(/^[0-9a-f]{12}$/);

/** The drill that is under way. */
export const DrillMark = z.object({
  id: DrillId,
  /** One of the above; a newer member may know more. */
  kind: z.string(),
  /** What it is done to. */
  server: z.string(),
  /** The member that drives it. */
  driver: z.string(),
  by: z.string(),
  at: z.string(),
  /** It is over by then, whatever became of its driver. */
  until: z.string(),
});
export type DrillMark = z.infer<typeof DrillMark>;

/** Certnames of synthetic agents begin so: what they send to PuppetDB is taken and not kept. */
export const PROBE_PREFIX = "understudy-probe.";

/** The certname of the synthetic agent of the member `id`. */
export function probeName(id: string): string {
  return `${PROBE_PREFIX}${id}`;
}
