// What is so on this server, as far as a switchover matters. Reads only.

import { readFile } from "node:fs/promises";
import { isIPv4 } from "node:net";
import { join } from "node:path";
import { z } from "zod";
import { readIfThere } from "../../host/files.ts";
import { localAddresses } from "../../host/network.ts";
import { run, tryRun } from "../../host/process.ts";
import { type Move, Progress, type SwitchoverPaths } from "./order.ts";
import type { Socket } from "./render.ts";

const ASK_MS = 10_000;

/** Values by path below /proc/sys. Throws what the file system throws. */
export async function readSysctls(paths: readonly string[]): Promise<Record<string, string>> {
  const read = paths.map(
    async (path) => [path, (await readFile(join("/proc/sys", path), "utf8")).trim()] as const,
  );
  return Object.fromEntries(await Promise.all(read));
}

/** Which of `moves` this server holds: keepalived has set the address on its interface. */
export function heldOf(moves: readonly Move[]): Move[] {
  const local = localAddresses();
  return moves.filter((move) =>
    local.some((each) => each.interface === move.interface && each.address === move.address),
  );
}

/**
 * TCP connections here whose near end is one of `addresses`. `ended`: also those that only wait for
 * stray packets. Throws Fault `host.command-failed`.
 */
export async function readSockets(
  addresses: readonly string[],
  { ended }: { ended: boolean },
): Promise<Socket[]> {
  const found: Socket[] = [];
  for (const address of addresses) {
    const state = ["state", "connected", ...(ended ? [] : ["exclude", "time-wait"])];
    const argv = ["ss", "-H", "-t", "-n", ...state, "src", address];
    found.push(...parseSockets(await run(argv, { withinMs: ASK_MS })));
  }
  return found;
}

/** Reads `ss -H -t -n`; IPv6 sockets of IPv4 connections included. */
export function parseSockets(text: string): Socket[] {
  return text.split("\n").flatMap((line) => {
    const [to, from] = [...line.matchAll(/(?<= )\[?(?:::ffff:)?([0-9.]+)\]?:(\d+)(?= |$)/g)];
    if (to === undefined || from === undefined || !isIPv4(to[1] ?? "")) return [];
    return [
      {
        from: from[1] ?? "",
        fromPort: Number(from[2]),
        to: to[1] ?? "",
        toPort: Number(to[2]),
      },
    ];
  });
}

/** Whether the other side was heard in the last seconds, on each of `links`. */
export async function hears(table: string, links: number): Promise<boolean> {
  return allHave(table, "heard", links);
}

/** Whether the old holder has said that all its connections are seen to. */
export async function isOver(table: string, links: number): Promise<boolean> {
  return allHave(table, "over", links);
}

async function allHave(table: string, set: string, links: number): Promise<boolean> {
  for (let index = 0; index < links; index += 1) {
    const argv = ["nft", "-j", "list", "set", "netdev", table, `${set}${index}`];
    const listed = await tryRun(argv, { withinMs: ASK_MS });
    if (!listed.ok || !hasElements(listed.stdout)) return false;
  }
  return links > 0;
}

const Listing = z.object({
  nftables: z.array(
    z.object({ set: z.object({ elem: z.array(z.unknown()).default([]) }).optional() }),
  ),
});

/** Whether the set in the output of `nft -j list set` has an element. */
export function hasElements(json: string): boolean {
  try {
    return Listing.parse(JSON.parse(json)).nftables.some(({ set }) => (set?.elem.length ?? 0) > 0);
  } catch {
    return false;
  }
}

/** What the side's keeper last wrote; undefined when there is no switchover, or it can't be read. */
export async function readProgress(paths: SwitchoverPaths): Promise<Progress | undefined> {
  const text = await readIfThere(paths.progress);
  if (text === undefined) return undefined;
  try {
    return Progress.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
