// What members ask each other for a switchover: a look, and a closed list of acts. Addresses go
// over the wire by name; where they are on this server, it finds out itself.

import { z } from "zod";
import { Move, Order, Phase, Side } from "./order.ts";
import type { Socket } from "./render.ts";
import { Sockets } from "./theirs.ts";

/** What a server says of itself before and after a switchover. */
export const SwitchoverLook = z.object({
  addresses: z.array(
    z.object({
      /** Without prefix length. */
      address: z.string(),
      held: z.boolean(),
      /** This server's own address on that subnet; absent: it has no interface there. */
      own: z.string().optional(),
    }),
  ),
  /** Why it can't take part; empty when it can. */
  unfit: z.string(),
  /** Why no connection can be kept with it, whole sentences. */
  problems: z.array(z.string()).max(64),
  /** What it keeps for an earlier switchover. */
  windows: z.array(
    z.object({
      id: z.string(),
      side: Side,
      phase: Phase,
      peers: z.array(z.string()),
      addresses: z.array(z.string()),
      connections: z.int(),
      leftS: z.int(),
    }),
  ),
});
export type SwitchoverLook = z.infer<typeof SwitchoverLook>;

/** What one side is asked to prepare. */
export const SwitchoverWish = z.object({
  id: Order.shape.id,
  side: Side,
  stand: Order.shape.stand,
  limitS: Order.shape.limitS,
  moves: z
    .array(
      z.object({
        address: Move.shape.address,
        /** The other server's own address on that subnet; absent: its connections break. */
        peer: z.ipv4().optional(),
      }),
    )
    .min(1)
    .max(16),
});
export type SwitchoverWish = z.infer<typeof SwitchoverWish>;

export const SwitchoverOf = z.object({ id: Order.shape.id, side: Side });
export const SwitchoverPhase = z.object({ phase: Phase, because: z.string() });
export type SwitchoverPhase = z.infer<typeof SwitchoverPhase>;

/** The connections that the old holder has when the addresses have left it. */
export const SwitchoverTheirs = z.object({ theirs: Sockets });
export const SwitchoverTaken = SwitchoverOf.extend(SwitchoverTheirs.shape);

/** An address that a server is to take from a holder that can't be asked. */
export const SwitchoverTake = z.object({ address: Move.shape.address });

/** What a server does for a switchover, each after its own check. */
export interface SwitchoverActs {
  look(): Promise<SwitchoverLook>;
  /** Returns once the other side is heard and all is ready; nothing has moved then. */
  prepare(wish: SwitchoverWish): Promise<SwitchoverPhase>;
  /** Has this server's keepalived let go; returns once it has, with the connections that stay. */
  handOver(id: string): Promise<Socket[]>;
  /** Returns once the addresses are here. */
  taken(id: string, theirs: readonly Socket[]): Promise<SwitchoverPhase>;
  /** Takes the address from whoever has it: connections break. Having it is no error. */
  take(address: string): Promise<void>;
  /** Puts everything back. Nothing there is no error. */
  end(of: z.infer<typeof SwitchoverOf>): Promise<void>;
}
