// What the courier's load program is told and what it answers. Pure.

import { z } from "zod";

/** A listener that speaks PuppetDB's API, and the client's certificate (PEM). */
export const Door = z.object({
  address: z.string(),
  port: z.int(),
  serverName: z.string(),
  ca: z.string(),
  certificate: z.string(),
  key: z.string(),
});
export type Door = z.infer<typeof Door>;

/** Standard input of the load program. */
export const Load = z.object({
  door: Door,
  connections: z.int().min(1),
  /** The slice ends after so long, or when as many were sent. */
  ms: z.int().min(1),
  requestsMax: z.int().min(1),
  /**
   * `facts`: one node's facts each, on a connection of its own as puppetserver does. Else a query,
   * as path and query string, on kept-alive connections.
   */
  what: z.union([z.literal("facts"), z.object({ query: z.string() })]),
});
export type Load = z.infer<typeof Load>;

/** Its output. */
export const Slice = z.object({
  ms: z.number(),
  latenciesMs: z.array(z.number()).min(1),
  errors: z.int(),
  /** The first error's text. */
  error: z.string(),
});
export type Slice = z.infer<typeof Slice>;

/** Answers per second. */
export function rateOf({ ms, latenciesMs }: Slice): number {
  return (latenciesMs.length / ms) * 1000;
}
