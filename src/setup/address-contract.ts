// The shapes of the commands that move virtual addresses.

import { z } from "zod";
import { IpAddress } from "../cluster/schema.ts";

/** A wish to move virtual addresses, as the command has it. */
export const SwitchoverAsk = z.object({
  address: IpAddress.optional(),
  to: z.string().max(253).optional(),
  force: z.boolean().default(false),
  /** How long connections are kept at most, seconds. */
  limitS: z.int().min(10).max(3600).default(900),
});
export type SwitchoverAsk = z.infer<typeof SwitchoverAsk>;

const Holders = z.array(z.object({ id: z.string(), addresses: z.array(z.string()) }));

/** What it means; asked before it is done. */
export const SwitchoverPlan = z.object({
  from: z.string(),
  to: z.string(),
  /** What moves, and why its connections break; empty: they go on. */
  moves: z.array(z.object({ address: z.string(), breaks: z.string() })),
  already: z.boolean(),
  before: Holders,
  after: Holders,
  lines: z.array(z.string()),
  /** Why it is refused; empty when it isn't. */
  refused: z.string(),
});
export type SwitchoverPlan = z.infer<typeof SwitchoverPlan>;

export const SwitchoverDone = z.object({
  from: z.string(),
  to: z.string(),
  already: z.boolean(),
  addresses: z.array(z.string()),
  /** Who holds what afterwards. */
  holders: Holders,
  /** Connections that the old holder still has. */
  connections: z.int(),
  /** How long from letting go until the new holder had them, milliseconds. */
  tookMs: z.number(),
  limitS: z.int(),
});
export type SwitchoverDone = z.infer<typeof SwitchoverDone>;

/** What the running switchover is at: lines so far; none when none runs here. */
export const SwitchoverProgress = z.object({ lines: z.array(z.string()) });

/** A wish to take an address from a server that can't be asked. */
export const FailoverAsk = z.object({ address: IpAddress, to: z.string().max(253).optional() });
export type FailoverAsk = z.infer<typeof FailoverAsk>;

/** What it means; asked before it is done. */
export const FailoverPlan = z.object({
  address: z.string(),
  to: z.string(),
  lines: z.array(z.string()),
  /** Why it is refused; empty when it isn't. */
  refused: z.string(),
});
export type FailoverPlan = z.infer<typeof FailoverPlan>;

export const FailoverDone = z.object({
  address: z.string(),
  to: z.string(),
  tookMs: z.number(),
  holders: Holders,
});
export type FailoverDone = z.infer<typeof FailoverDone>;
