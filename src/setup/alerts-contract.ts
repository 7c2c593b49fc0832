// What is asked and answered of alerts and hooks, in the shapes of the local API. A secret only
// comes in.

import { z } from "zod";
import { ChannelWish } from "../alerts/channel.ts";
import { AlertChannel } from "../cluster/schema.ts";
import { SEVERITIES } from "../cluster/warning.ts";

export { ChannelWish };

/** The channels, what is raised, and how it is told. */
export const AlertsShown = z.object({
  channels: z.array(
    AlertChannel.extend({
      /** Whether a password or URL is kept for it. */
      hasSecret: z.boolean(),
      /** Messages that wait for it. */
      waiting: z.int(),
      /** How often in a row it took nothing, why, and how many messages were given up. */
      failures: z.int(),
      because: z.string(),
      dropped: z.int(),
      /** When it took the last one. */
      sentAt: z.string().optional(),
    }),
  ),
  alerts: z.array(
    z.object({
      kind: z.string(),
      subject: z.string().optional(),
      severity: z.enum(SEVERITIES),
      text: z.string(),
      since: z.string(),
      flapping: z.boolean(),
    }),
  ),
  /** How often agents' failed runs are told at most; absent: never. */
  failedRunsEveryS: z.int().optional(),
  /** Why this is only what this member knows; empty: it is the record's. */
  because: z.string(),
});
export type AlertsShown = z.infer<typeof AlertsShown>;

/** Which channel is tried; absent: all. */
export const AlertTest = z.object({ channel: z.string().max(40).optional() });
export type AlertTest = z.infer<typeof AlertTest>;

export const AlertTested = z.object({
  results: z.array(
    z.object({ channel: z.string(), ok: z.boolean(), because: z.string(), tookMs: z.number() }),
  ),
});
export type AlertTested = z.infer<typeof AlertTested>;

/** How often agents' failed runs are told; absent: never. */
export const FailedRunsWish = z.object({
  everyS: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .optional(),
});
export type FailedRunsWish = z.infer<typeof FailedRunsWish>;
