// A server's addresses go to another one before its work ends, by a switchover, so that no
// connection breaks. Where none can be kept they move later, as keepalived moves them.

import type { SwitchoverCommands } from "../api/local-app.ts";
import { isFault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import type { HandedOver } from "../setup/work-contract.ts";

export type Moves = Pick<SwitchoverCommands, "plan" | "run">;

/** As long as an agent's longest request may take, and some more. */
const LIMIT_S = 900;
/** Switchovers take seconds. Nothing is tried any more after this. */
const TRY_MS = 60_000;
const AGAIN_MS = 1000;

/**
 * Which of `heirs`, tried in their order, can take `addresses`; `breaks`: why connections break
 * with each of them. Undefined where there is nothing to move, or nobody to take it.
 */
export async function planHandOver(
  moves: Moves,
  addresses: readonly string[],
  heirs: readonly string[],
): Promise<Pick<HandedOver, "to" | "breaks"> | undefined> {
  const [address] = addresses;
  const [first] = heirs;
  if (address === undefined || first === undefined) return undefined;
  const reasons: string[] = [];
  for (const to of heirs) {
    const breaks = await moves.plan(askFor(address, to)).then(({ refused }) => refused, messageOf);
    if (breaks === "") return { to, breaks };
    reasons.push(breaks);
  }
  return { to: first, breaks: inOneLine(reasons) };
}

/**
 * Moves `addresses`, which one server holds, to the first of `heirs` that can take them. Waits for
 * another switchover for `waitMs` at most. Says what became of them; never throws.
 */
export async function handOver(
  moves: Moves,
  addresses: readonly string[],
  heirs: readonly string[],
  waitMs = TRY_MS,
): Promise<HandedOver | undefined> {
  const [address] = addresses;
  const [first] = heirs;
  if (address === undefined || first === undefined) return undefined;
  const startMs = monotonicMs();
  const reasons: string[] = [];
  for (const to of heirs) {
    try {
      const done = await runWhenFree(moves, askFor(address, to), startMs + waitMs);
      return { to, addresses: done.addresses, connections: done.connections, breaks: "" };
    } catch (error) {
      reasons.push(messageOf(error));
      if (!isUnmoved(error) || monotonicMs() - startMs > TRY_MS) break;
    }
  }
  return { to: first, addresses: [...addresses], connections: 0, breaks: inOneLine(reasons) };
}

/** Whether both sides are as before, so that another server may be asked. */
function isUnmoved(error: unknown): boolean {
  return isFault(error, "switchover.refused") || isFault(error, "switchover.ended");
}

async function runWhenFree(moves: Moves, ask: ReturnType<typeof askFor>, untilMs: number) {
  for (;;) {
    try {
      return await moves.run(ask);
    } catch (error) {
      if (!isFault(error, "switchover.running") || monotonicMs() >= untilMs) throw error;
    }
    await pause(AGAIN_MS);
  }
}

function askFor(address: string, to: string) {
  return { address, to, force: false, limitS: LIMIT_S };
}

function inOneLine(reasons: readonly string[]): string {
  return [...new Set(reasons)].join("; ");
}
