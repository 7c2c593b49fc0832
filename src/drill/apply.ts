// What a drill does to this server, and how it is undone. The idea: systemd gets the way back
// first, as a timer, so that it comes whatever becomes of the daemon, of the network, of who asked
// for it.

import { Fault } from "../base/fault.ts";
import { run, tryRun } from "../host/process.ts";
import { killUnit, runLater, unit } from "../host/systemd.ts";
import { listLinks } from "../host/network.ts";
import { CUT_TABLE, renderCut } from "./render-cut.ts";

const NFT_MS = 10_000;

/** What is to be done here, with the names that this server has for it. */
export interface Order {
  id: string;
  do: "kill" | "lose" | "cut";
  /** The unit that is killed. */
  unit: string;
  /** Seconds until the timer brings it back. */
  holdS: number;
}

/** Sets the timer that undoes it. Throws Fault `host.command-failed`, `drill.refused`. */
export async function arm(order: Order): Promise<void> {
  // What can't be cut must be told before anybody waits for it.
  if (order.do === "cut") await nft(renderCut(await listLinks()), "--check");
  await runLater(timerOf(order.id), order.holdS, ["/bin/sh", "-c", undoLine(order)]);
}

/**
 * Does it; the way back must be set. `over`: why it mustn't be done any more; empty: it may. A cut
 * that turns out to have come too late is undone at once, since nobody else would do that.
 */
export async function perform(order: Order, over: () => string): Promise<void> {
  const { do: what, unit: name } = order;
  const table = what === "cut" ? renderCut(await listLinks()) : "";
  if (over() !== "") throw new Fault("drill.not-now", over());
  if (what === "cut") {
    await nft(table);
    if (over() === "") return;
    await undo(order);
    throw new Fault("drill.not-now", over());
  }
  await killUnit(name);
  // Before systemd starts it again by itself.
  if (what === "lose") await unit("stop", name);
}

/** Brings it back now, and lets the timer go. */
export async function undo(order: Order): Promise<void> {
  await run(["/bin/sh", "-c", undoLine(order)], { withinMs: NFT_MS });
  await unit("stop", `${timerOf(order.id)}.timer`).catch(() => undefined);
}

/** Whether this server is cut off by a drill now. */
export async function isCut(): Promise<boolean> {
  const listed = await tryRun(["nft", "list", "table", "netdev", CUT_TABLE], { withinMs: NFT_MS });
  return listed.ok;
}

export function timerOf(id: string): string {
  return `understudy-drill-undo-${id}`;
}

/** One line of shell; both ways back may come, so nothing there is fine. */
export function undoLine({ do: what, unit: name }: Pick<Order, "do" | "unit">): string {
  const table = `table netdev ${CUT_TABLE}`;
  return what === "cut"
    ? `while nft list ${table} >/dev/null 2>&1; do nft delete ${table} || sleep 1; done`
    : `systemctl --no-block start ${name}`;
}

async function nft(text: string, ...options: string[]): Promise<void> {
  await run(["nft", ...options, "-f", "-"], { input: text, withinMs: NFT_MS });
}
