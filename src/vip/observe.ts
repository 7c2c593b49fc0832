// What keepalived is set to and which addresses this server holds, read from files, systemd and the
// kernel. The kernel's list is the truth about addresses; keepalived's own state is only its
// opinion.

import { z } from "zod";
import { readIfThere } from "../host/files.ts";
import { parseCidr } from "../host/network.ts";
import { run } from "../host/process.ts";
import { unitState } from "../host/systemd.ts";
import type { VipObserved } from "./plan.ts";
import { parsePriority } from "./priority.ts";
import { vipPaths } from "./paths.ts";

const ASK_MS = 5000;
export const VIP_UNIT = "understudy-vip.service";

const Links = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z.array(z.object({ local: z.string().optional() })).optional(),
  }),
);

/** Reads what planVip needs. Throws Fault `host.command-failed` where systemd doesn't answer. */
export async function observeVip(folder?: string): Promise<VipObserved> {
  const paths = vipPaths(folder);
  const [config, loaded, edgeWatch, priority, unit] = await Promise.all([
    readIfThere(paths.config),
    readIfThere(paths.loaded),
    readIfThere(paths.edgeWatch),
    readIfThere(paths.priority),
    unitState(VIP_UNIT),
  ]);
  const active = ["active", "reloading"].includes(unit.active);
  return {
    config,
    loaded: loaded?.trim(),
    edgeWatch,
    priority: parsePriority(priority),
    active,
    enabled: unit.enabled,
  };
}

/**
 * Which of `addresses` (with or without prefix) this server holds now. Throws Fault
 * `host.command-failed`.
 */
export async function heldAddresses(addresses: readonly string[]): Promise<string[]> {
  if (addresses.length === 0) return [];
  const held = parseAddresses(await run(["ip", "-j", "addr", "show"], { withinMs: ASK_MS }));
  return addresses.filter((each) => held.has(canonical(each.includes("/") ? each : `${each}/1`)));
}

/** Addresses in the output of `ip -j addr show`; none when it isn't understood. */
export function parseAddresses(json: string): Set<string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return new Set();
  }
  const links = Links.safeParse(parsed);
  const locals = (links.data ?? []).flatMap((link) =>
    (link.addr_info ?? []).flatMap((info) => (info.local === undefined ? [] : [info.local])),
  );
  return new Set(locals);
}

/** The one spelling of an IPv6 address that the kernel uses. */
function canonical(text: string): string {
  const { address, family } = parseCidr(text);
  return family === 4 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
}
