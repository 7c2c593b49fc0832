// Agents leave this edge without a failed run: what they have running ends here, what is new waits.
// The idea: TCP repeats an unanswered first packet, so a connection that begins now is taken by
// whoever has the address then. A reload makes HAProxy close each connection after its answer.
// Danger: a connection that is open when the address goes is lost with it.

import { UNITS } from "../host/paths.ts";
import { isActive, unit } from "../host/systemd.ts";
import { drain, hold } from "./make-way.ts";

/**
 * Holds new connections until `letAgentsIn` and waits for the open ones, at most DRAIN_MS_MAX:
 * agents wait 120 s for a connection. Returns in words what kept it from that; empty when nobody
 * is connected any more.
 */
export async function sendAgentsAway(): Promise<string> {
  const problem = await hold();
  // Where it can't be reloaded, connections last as long as agents keep them.
  if (await isActive(UNITS.edge)) await unit("reload", UNITS.edge).catch(() => undefined);
  if (await drain()) return "";
  return problem === undefined
    ? "requests still run here, which end now"
    : `new connections can't be held, so some may be cut: ${problem}`;
}
