// What a side changes so that an address moves and no connection breaks. Pure. The idea: the new
// holder answers what began there (it sees every first packet), and passes everything else for the
// address on to the old one, frame by frame, before its own firewall or connection tracking sees
// it. The old one keeps the address on lo, where it serves its connections and announces nothing.
// Each server does so only while it hears the other: see render.ts.

import { CHOSEN, REFUSING, RELUCTANT } from "../priority.ts";
import { type Before, keptMoves, type Order } from "./order.ts";
import { renderNewTable, renderOldTable, type Socket } from "./render.ts";

/** One change, with what undoes it. */
export type Step =
  | { do: "sysctl"; path: string; value: string; before: string; because: string }
  | { do: "table"; table: string; text: string; because: string }
  | { do: "address"; address: string; interface: string; because: string }
  | { do: "number"; priority: number; before: number; because: string };

export const TABLES = {
  old: "understudy_switchover_old",
  new: "understudy_switchover_new",
} as const;

/** Paths below /proc/sys that a side sets, with the value that it needs at least. */
export function sysctlsOf(order: Order): { path: string; least: number; because: string }[] {
  const interfaces = [...new Set(keptMoves(order).map((move) => move.interface))];
  return interfaces.flatMap((name) => {
    const path = (key: string) => `net/ipv4/conf/${name}/${key}`;
    if (order.side === "new") {
      const because = "its own connections to the address get their answers from another server";
      return [{ path: path("accept_local"), least: 1, because }];
    }
    return [
      { path: path("arp_announce"), least: 2, because: "it never announces the copy on lo" },
      { path: path("arp_ignore"), least: 1, because: "it answers for the address only as holder" },
    ];
  });
}

/**
 * The changes of `order`, in order, before anything moves. `sockets`: connections at the addresses
 * that this server has from before.
 */
export function planPreparation(order: Order, before: Before, sockets: readonly Socket[]): Step[] {
  const kept = keptMoves(order);
  const steps: Step[] = [];
  for (const { path, least, because } of sysctlsOf(order)) {
    const value = before.sysctls[path] ?? "0";
    if (Number(value) >= least) continue;
    steps.push({ do: "sysctl", path, value: String(least), before: value, because });
  }
  if (kept.length > 0 && order.side === "new") {
    const because = "what began elsewhere goes on to the old holder, as long as that is heard";
    const text = renderNewTable(TABLES.new, kept, sockets);
    steps.push({ do: "table", table: TABLES.new, text, because });
  }
  if (kept.length > 0 && order.side === "old") {
    const because = "sees whether the new holder can pass packets on";
    steps.push({ do: "table", table: TABLES.old, text: renderOldTable(TABLES.old, kept), because });
  }
  if (order.side === "old") {
    for (const { address, interface: name } of kept) {
      const because = "its connections stay when keepalived takes the address away";
      steps.push({ do: "address", address, interface: name, because });
    }
  } else {
    steps.push({ do: "number", ...standOf(order), before: before.priority });
  }
  return steps;
}

/**
 * Whether `order` takes over all that `former` keeps here, so that its window may go over into this
 * one.
 */
export function takesOver(order: Order, former: Order): boolean {
  const kept = keptMoves(order);
  return keptMoves(former).every((move) =>
    kept.some(
      (each) =>
        each.address === move.address &&
        each.interface === move.interface &&
        each.kept.own === move.kept.own &&
        each.kept.peer === move.kept.peer,
    ),
  );
}

function standOf({ stand }: Order): { priority: number; because: string } {
  if (stand === "aside") {
    return { priority: RELUCTANT, because: "another server is to take the addresses" };
  }
  return {
    priority: CHOSEN,
    because: "keepalived takes the addresses before any other server does",
  };
}

/** What moves the addresses: the old holder's keepalived lets go. */
export function planHandOver(before: Before): Step {
  const because = "keepalived gives the addresses up";
  return { do: "number", priority: REFUSING, before: before.priority, because };
}
