// A server's addresses go to another one before its work ends, by a switchover, so that no
// connection breaks. Where none can be kept they move later, as keepalived moves them.

import type { SwitchoverCommands } from "../api/local-app.ts";
import { messageOf } from "../base/fault.ts";
import type { HandedOver } from "../setup/work-contract.ts";

export type Moves = Pick<SwitchoverCommands, "plan" | "run">;

/** As long as an agent's longest request may take, and some more. */
const LIMIT_S = 900;

/** Why connections to `addresses` break when they move to `to`; empty: they go on. */
export async function breaksOf(
  moves: Moves,
  addresses: readonly string[],
  to: string,
): Promise<string> {
  const [address] = addresses;
  if (address === undefined) return "";
  const ask = { address, to, force: false, limitS: LIMIT_S };
  return moves.plan(ask).then(({ refused }) => refused, messageOf);
}

/** Moves `addresses`, which one server holds, to `to`. Says what became of them; never throws. */
export async function handOver(
  moves: Moves,
  addresses: readonly string[],
  to: string,
): Promise<HandedOver | undefined> {
  const [address] = addresses;
  if (address === undefined) return undefined;
  try {
    const done = await moves.run({ address, to, force: false, limitS: LIMIT_S });
    return { to, addresses: done.addresses, connections: done.connections, breaks: "" };
  } catch (error) {
    return { to, addresses: [...addresses], connections: 0, breaks: messageOf(error) };
  }
}
