// What the record keeps of alerts (`understudy/alerts/state`): which are raised, what is yet to be
// sent, how channels fare. One value, so that who decides that something is told and who sends it
// are compared with each other, whoever leads. Danger: it is read by other versions too.

import { z } from "zod";
import { SEVERITIES } from "../cluster/warning.ts";

const TEXT_MAX = 1000;
const Text = z.string().max(TEXT_MAX);
const Severity = z.enum(SEVERITIES).catch("warning");

/** One warning that was told. */
export const KnownAlert = z.object({
  kind: z.string().max(60),
  subject: z.string().max(600).optional(),
  severity: Severity,
  text: Text,
  /** `resolved` ones are remembered for a while, to tell one that comes and goes. */
  state: z.enum(["raised", "resolved"]).catch("raised"),
  /** Since when it is so, milliseconds since the epoch. */
  sinceMs: z.number(),
  /** When it was last told. */
  toldMs: z.number(),
  /** When it was raised of late. */
  raises: z.array(z.number()).max(8),
  /** It comes and goes: nothing is told until it has been quiet for long. */
  flapping: z.boolean().default(false),
});
export type KnownAlert = z.infer<typeof KnownAlert>;

/** What has become of an alert. */
export const AlertChange = z.object({
  /** A newer version may know further ones. */
  change: z.string().max(20),
  kind: z.string().max(60),
  subject: z.string().max(600).optional(),
  severity: Severity,
  text: Text,
  sinceMs: z.number(),
});
export type AlertChange = z.infer<typeof AlertChange>;

/** Something to be sent to one channel. */
export const Message = z.object({
  id: z.string().max(64),
  channel: z.string().max(40),
  atMs: z.number(),
  changes: z.array(AlertChange),
  /** How many more changes there were. */
  more: z.int().default(0),
  /** What there is besides alerts, as in agents' failed runs. */
  digest: z.object({ title: z.string().max(300), lines: z.array(z.string().max(500)) }).optional(),
  tries: z.int().default(0),
  /** Not before. */
  nextMs: z.number().default(0),
  /** It was refused for what it is: others are sent while it waits. */
  aside: z.boolean().optional(),
  /** Who is sending it, and until when nobody else does. */
  claim: z.object({ by: z.string(), untilMs: z.number() }).optional(),
});
export type Message = z.infer<typeof Message>;

/** How a channel fares. */
export const Standing = z.object({
  /** How often in a row it took nothing. */
  failures: z.int(),
  because: z.string().max(300),
  /** Since when. */
  sinceMs: z.number(),
  /** Messages that were given up, since the channel is known. */
  dropped: z.int(),
  sentMs: z.number().optional(),
});
export type Standing = z.infer<typeof Standing>;

export const AlertState = z.object({
  known: z.array(KnownAlert).default([]),
  outbox: z.array(Message).default([]),
  channels: z.record(z.string(), Standing).default({}),
  /** Agents' failed runs: when they were last told, and up to which of each courier's. */
  failedRuns: z
    .object({
      toldMs: z.number(),
      seen: z.record(z.string(), z.object({ life: z.string(), number: z.int() })),
    })
    .optional(),
});
export type AlertState = z.infer<typeof AlertState>;

export const NO_ALERTS: AlertState = { known: [], outbox: [], channels: {} };

/** What makes two warnings the same. */
export function alertKey({ kind, subject }: { kind: string; subject?: string | undefined }) {
  return subject === undefined ? kind : `${kind} ${subject}`;
}
