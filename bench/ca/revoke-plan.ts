// What the revocation program is told, and what it answers. Pure.

import { z } from "zod";
import { Door, Identity } from "./connection.ts";

/** Standard input of the revocation program. */
export const RevokeLoad = z.object({
  /** Is told to revoke. */
  via: Door,
  /** Are watched until each refuses what was revoked; none: the answer is all that counts. */
  watched: z.array(Door),
  /** Whether each look is a connection of its own: what stock's listener needs to refuse. */
  fresh: z.boolean(),
  /** PEM of the CAs that servers' certificates are checked against. */
  ca: z.string(),
  admin: Identity,
  /** What is revoked, one after the other. Certificates are needed for watching only. */
  revoke: z.array(z.object({ certname: z.string(), identity: Identity.optional() })),
});
export type RevokeLoad = z.infer<typeof RevokeLoad>;

/** One line of its output: one revocation. */
export const Revoked = z.object({
  certname: z.string(),
  /** From the sending of the revocation to its answer. */
  answeredMs: z.number(),
  /** From the sending of the revocation until the last of the watched had refused. */
  refusedMs: z.number(),
});
export type Revoked = z.infer<typeof Revoked>;

/** Reads its output. */
export function parseRevoked(output: string): Revoked[] {
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Revoked.parse(JSON.parse(line)));
}
