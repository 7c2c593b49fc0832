// What one server is told for a switchover, and what it remembers of it. The files live in /run:
// after a boot nothing of a switchover is left, neither these nor what they tell of.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { PATHS } from "../../host/paths.ts";

/** The two sides: who gives addresses away, and who takes them. */
export const Side = z.enum(["old", "new"]);
export type Side = z.infer<typeof Side>;

const Ipv4 = z.ipv4();
const Interface = z.string().regex(/^[A-Za-z0-9_.@-]{1,15}$/);

/** An address that moves. */
export const Move = z.object({
  /** Without prefix length. */
  address: z.union([Ipv4, z.ipv6()]),
  /** Of this server, where keepalived has it or will have it. */
  interface: Interface,
  /**
   * How its connections are kept: this server's own address on that subnet, and the other's.
   * Absent: they break.
   */
  kept: z.object({ own: Ipv4, peer: Ipv4 }).optional(),
});
export type Move = z.infer<typeof Move>;

/** A move whose connections are kept. */
export type KeptMove = Move & { kept: NonNullable<Move["kept"]> };

export const Order = z.object({
  /** Of the switchover, the same on both sides. */
  id: z.string().regex(/^[a-z0-9-]{1,40}$/),
  side: Side,
  /**
   * On the new side: whether this server is to take the addresses, or stands aside for the one that
   * is.
   */
  stand: z.enum(["first", "aside"]).default("first"),
  moves: z.array(Move).min(1).max(16),
  /** How long connections are kept at most, seconds. */
  limitS: z.int().min(10).max(3600),
});
export type Order = z.infer<typeof Order>;

/** The moves of `order` whose connections are kept. */
export function keptMoves(order: Order): KeptMove[] {
  return order.moves.filter((move): move is KeptMove => move.kept !== undefined);
}

/** What was so before the first change of a window, to be put back. */
export const Before = z.object({
  /** Value of each sysctl by its path below /proc/sys. */
  sysctls: z.record(z.string(), z.string()),
  /** The number for keepalived. */
  priority: z.int(),
});
export type Before = z.infer<typeof Before>;

/**
 * How far it is. `preparing`, `prepared`: nothing has moved. `moving`: keepalived was told.
 * `moved`: connections are kept. `ended`: all is put back.
 */
export const Phase = z.enum(["preparing", "prepared", "moving", "moved", "ended"]);
export type Phase = z.infer<typeof Phase>;

export const Progress = z.object({
  order: Order,
  phase: Phase,
  /** Why it ended, or what it waits for. */
  because: z.string(),
  before: Before,
  /** Milliseconds since boot: when the phase began, and when connections are given up. */
  sinceMs: z.number(),
  endsAtMs: z.number(),
  /** Connections that are kept here for the other side. */
  connections: z.int(),
});
export type Progress = z.infer<typeof Progress>;

export interface SwitchoverPaths {
  folder: string;
  order: string;
  progress: string;
  /** There when the old side is to tell keepalived to let go. */
  go: string;
  /** There when it is to end. */
  end: string;
  /** Connections of the old holder: written there, brought to the new one. */
  theirs: string;
  /** How the last one ended: outlives the folder. */
  ended: string;
  /** Puts everything back, with nothing of ours running: one of each switchover. */
  undo(id: string): string;
}

/** The files of one side in `folder`, by default /run/understudy/switchover. */
export function switchoverPaths(side: Side, folder: string = PATHS.switchover): SwitchoverPaths {
  const own = join(folder, side);
  return {
    folder: own,
    order: join(own, "order.json"),
    progress: join(own, "progress.json"),
    go: join(own, "go"),
    end: join(own, "end"),
    theirs: join(own, "theirs.json"),
    ended: join(folder, `ended-${side}.json`),
    undo: (id) => join(folder, `undo-${side}-${id}`),
  };
}

/** The undo scripts of one side that there are. */
export async function listUndo(side: Side, folder: string = PATHS.switchover): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => name.startsWith(`undo-${side}-`)).map((name) => join(folder, name));
}
