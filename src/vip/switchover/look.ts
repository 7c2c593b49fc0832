// What this server says of itself before a switchover. Reads only; the kernel is asked by having it
// check the very tables that would be loaded.

import { isIPv4 } from "node:net";
import { bootMs } from "../../host/clock.ts";
import {
  canonicalAddress,
  configuredAddresses,
  inSubnet,
  interfaceFor,
  type LocalAddress,
  localAddresses,
  parseCidr,
} from "../../host/network.ts";
import { UNITS } from "../../host/paths.ts";
import { tryRun } from "../../host/process.ts";
import { isActive } from "../../host/systemd.ts";
import type { SwitchoverLook } from "./acts.ts";
import { readProgress } from "./observe.ts";
import { keptMoves, type KeptMove, type Progress, Side, switchoverPaths } from "./order.ts";
import { TABLES } from "./plan.ts";
import { renderNewTable, renderOldTable } from "./render.ts";

const ASK_MS = 10_000;
/** A neighbour that there needn't be: tables are only checked with it. */
const NOBODY = "192.0.2.1";

/** Looks at this server for the virtual addresses `wanted` (ADDRESS/PREFIX). */
export async function lookHere(wanted: readonly string[]): Promise<SwitchoverLook> {
  const local = await configuredAddresses();
  const held = localAddresses();
  const addresses = wanted.map((text) => {
    const cidr = parseCidr(text);
    const address = canonicalAddress(cidr.address);
    const own = ownOn(text, wanted, local);
    return {
      address,
      held: held.some((each) => each.address === address),
      ...(own === undefined ? {} : { own: own.address }),
    };
  });
  const windows = await readWindows();
  return {
    addresses,
    unfit: (await isActive(UNITS.vip)) ? "" : "its keepalived (understudy-vip) doesn't run",
    problems: await findProblems(wanted, local),
    windows: windows.map(toWindow),
  };
}

/** This server's own address beside the virtual one: never another virtual one. */
export function ownOn(
  text: string,
  wanted: readonly string[],
  local: readonly LocalAddress[],
): LocalAddress | undefined {
  const virtual = new Set(wanted.map((each) => canonicalAddress(parseCidr(each).address)));
  return interfaceFor(
    parseCidr(text),
    local.filter(({ address }) => !virtual.has(address)),
  );
}

/** What each side's keeper is at here. */
export async function readWindows(): Promise<Progress[]> {
  const read = Side.options.map(async (side) => readProgress(switchoverPaths(side)));
  return (await Promise.all(read)).filter((each) => each !== undefined);
}

/** A keeper's state as others are told of it. */
export function toWindow({
  order,
  phase,
  endsAtMs,
  connections,
}: Progress): SwitchoverLook["windows"][number] {
  return {
    id: order.id,
    side: order.side,
    phase,
    peers: [...new Set(keptMoves(order).map(({ kept }) => kept.peer))],
    addresses: order.moves.map(({ address }) => address),
    connections,
    leftS: Math.max(0, Math.round((endsAtMs - bootMs()) / 1000)),
  };
}

/** Why no connection can be kept here; none where there is no address whose could be. */
export async function findProblems(
  wanted: readonly string[],
  local: readonly LocalAddress[],
): Promise<string[]> {
  const moves = wanted.flatMap((text): KeptMove[] => {
    const { address } = parseCidr(text);
    const own = ownOn(text, wanted, local);
    if (own === undefined || !isIPv4(address)) return [];
    return [{ address, interface: own.interface, kept: { own: own.address, peer: NOBODY } }];
  });
  if (moves.length === 0) return [];
  const problems = twoOnOneSubnet(wanted, local);
  // In tables of other names, so that what is loaded doesn't matter.
  const text = renderNewTable(`${TABLES.new}_check`, moves, []);
  const old = renderOldTable(`${TABLES.old}_check`, moves);
  const checked = await tryRun(["nft", "--check", "-f", "-"], {
    input: text + old,
    withinMs: ASK_MS,
  }).catch(() => undefined);
  if (checked === undefined) problems.push("nft isn't installed (package nftables)");
  else if (!checked.ok)
    problems.push(`the kernel's nftables can't do it: ${firstLine(checked.stderr)}`);
  for (const program of ["ss", "systemd-run"]) {
    const there = await tryRun([program, "--version"], { withinMs: ASK_MS }).catch(() => undefined);
    if (there?.ok !== true) problems.push(`the program ${program} doesn't run`);
  }
  return problems;
}

/** With two interfaces on a subnet, the other one would go on answering for the address. */
export function twoOnOneSubnet(
  wanted: readonly string[],
  local: readonly LocalAddress[],
): string[] {
  return wanted.flatMap((text) => {
    const own = ownOn(text, wanted, local);
    const names = local
      .filter(({ address }) => own !== undefined && inSubnet(address, parseCidr(text)))
      .map((each) => each.interface);
    const distinct = [...new Set(names)];
    if (distinct.length < 2) return [];
    return [
      `${distinct.join(" and ")} are both on the subnet of ${text}: it would be answered for on both`,
    ];
  });
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}
