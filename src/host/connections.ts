// Connections that outlive a member's rights. puppetserver and etcd take a new CRL within a second,
// but ask it only in a handshake: a connection that a removed member keeps open would go on
// claiming to be any agent, or writing the record, for as long as it likes.

import { isIP } from "node:net";
import { Fault } from "../base/fault.ts";
import { tryRun } from "./process.ts";

const ASK_MS = 10_000;

/**
 * Ends connections to `port` that come from elsewhere than `members` and this server itself.
 * Returns their peers. Throws Fault `host.connections` where some are still there.
 */
export async function endStrangers(port: number, members: readonly string[]): Promise<string[]> {
  const list = ["ss", "-H", "-t", "-n", "state", "connected", strangersFilter(port, members)];
  const before = parsePeers((await tryRun(list, { withinMs: ASK_MS })).stdout);
  if (before.length === 0) return [];
  const ended = await tryRun([...list.slice(0, 4), "-K", ...list.slice(4)], { withinMs: ASK_MS });
  const after = parsePeers((await tryRun(list, { withinMs: ASK_MS })).stdout);
  const kept = after.filter((peer) => before.includes(peer));
  if (kept.length === 0) return before;
  const why = ended.stderr.trim();
  throw new Fault(
    "host.connections",
    `connections of ${kept.join(", ")} to port ${port} can't be ended${why && `: ${why}`}`,
    { hints: ["Restart the service that listens there: that ends them."] },
  );
}

/** The filter of ss(8): connections of our port whose peer is neither a member nor on loopback. */
export function strangersFilter(port: number, members: readonly string[]): string {
  const known = [...members.filter((address) => isIP(address) !== 0), "127.0.0.0/8", "::1"];
  const peers = known.map((address) => (address.includes(":") ? `[${address}]` : address));
  return `( sport = :${port} ) and not ( ${peers.map((peer) => `dst ${peer}`).join(" or ")} )`;
}

/** Peers (ADDRESS:PORT) in the output of `ss -H -t -n` with a state filter. */
export function parsePeers(text: string): string[] {
  const words = text.split("\n").map((line) => line.trim().split(/\s+/).at(-1) ?? "");
  return words
    .filter((word) => /^(?:[\d.]+|\[[\da-fA-F:.]+\]):\d+$/.test(word))
    .map((word) => word.replace(/^\[(?:::ffff:)?([\d.]+)\]/, "$1"));
}
