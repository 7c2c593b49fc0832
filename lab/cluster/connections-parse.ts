// What /proc tells of open connections, and of which agent a process belongs to. Pure.

import { isIPv4 } from "node:net";
import { Fault } from "../../src/base/fault.ts";

const ESTABLISHED = "01";
/** lab/agents.ts gives it to every process of an agent. */
const NAME_VARIABLE = "LAB_AGENT=";

/** Inodes of the established connections to `address`:`port` in the text of /proc/net/tcp. */
export function openSockets(table: string, address: string, port: number): string[] {
  const peer = `${hexAddress(address)}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return table.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[2] === peer && fields[3] === ESTABLISHED ? [fields[9] ?? ""] : [];
  });
}

/** An IPv4 address as /proc/net/tcp writes it on little-endian machines. */
export function hexAddress(address: string): string {
  if (!isIPv4(address)) throw new Fault("lab.address", `"${address}" is no IPv4 address`);
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return bytes.reverse().join("").toUpperCase();
}

/** The agent that a process belongs to, from the text of its environ file; "" for others. */
export function readAgentName(environ: string): string {
  const entry = environ.split("\0").find((text) => text.startsWith(NAME_VARIABLE));
  return entry?.slice(NAME_VARIABLE.length) ?? "";
}

/** A time, ms since the epoch, and the agents that had an open connection from then on. */
export interface OpenFrom {
  atMs: number;
  agents: string[];
}

/** Reads the program's whole lines "MS AGENT AGENT …". */
export function parseOpen(text: string): OpenFrom[] {
  return [...text.matchAll(/^(\d+) (.*)\n/gm)].map(([, at, names = ""]) => ({
    atMs: Number(at),
    agents: names.split(" ").filter((name) => name !== ""),
  }));
}

/** A look may take so long, and connections be made meanwhile; less than an address takes to move. */
const LOOK_MS_MAX = 300;

/**
 * The last listing at or before `atMs`, and whoever the first one after it shows besides. Undefined
 * when there was none yet.
 */
export function openAt(listings: readonly OpenFrom[], atMs: number): string[] | undefined {
  const last = listings.findLast((listing) => listing.atMs <= atMs);
  if (last === undefined) return undefined;
  const next = listings.find((listing) => listing.atMs > atMs);
  const isClose = next !== undefined && next.atMs <= atMs + LOOK_MS_MAX;
  return [...new Set([...last.agents, ...(isClose ? next.agents : [])])];
}
