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

const HookOutcome = z.object({
  ok: z.boolean(),
  because: z.string(),
  /** The end of what it said. */
  output: z.string(),
  tookMs: z.number(),
});

/** This server's hooks. */
export const HookList = z.object({
  folder: z.string(),
  hooks: z.array(
    z.object({
      name: z.string(),
      runs: z.boolean(),
      /** Why it isn't run. */
      because: z.string(),
      waiting: z.int(),
      dropped: z.int(),
      last: HookOutcome.extend({ event: z.string(), at: z.string() }).optional(),
    }),
  ),
});
export type HookList = z.infer<typeof HookList>;

export const HooksTest = z.object({ event: z.string().max(60) });
export type HooksTest = z.infer<typeof HooksTest>;

export const HooksTested = z.object({
  results: z.array(HookOutcome.extend({ name: z.string() })),
});
export type HooksTested = z.infer<typeof HooksTested>;

/** How often agents' failed runs are told; absent: never. */
export const FailedRunsWish = z.object({
  everyS: z
    .int()
    .min(60)
    .max(7 * 86_400)
    .optional(),
});
export type FailedRunsWish = z.infer<typeof FailedRunsWish>;
