// This server's network: its addresses, what holds an address now, which ports are free, what names
// resolve to. Danger: a host that drops ping still answers ARP, so silence to ping proves nothing;
// the neighbour table does.

import { lookup } from "node:dns/promises";

import { BlockList, createServer, isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { run, tryRun } from "./process.ts";

const ASK_MS = 10_000;
const RESOLVE_MS = 5000;

export interface LocalAddress {
  interface: string;
  address: string;
  family: 4 | 6;
  prefix: number;
}

/** An address with its prefix length, as in 10.0.0.10/24. */
export interface Cidr {
  address: string;
  prefix: number;
  family: 4 | 6;
}

/** Reads ADDRESS/PREFIX. Throws Fault `host.address` with what is wrong. */
export function parseCidr(text: string): Cidr {
  const [address = "", length = "", ...more] = text.split("/");
  const family = isIP(address);
  const wrong = (why: string) => new Fault("host.address", `"${text}": ${why}`);
  if (more.length > 0 || (family !== 4 && family !== 6)) {
    throw wrong("an address with its prefix length is wanted, as in 10.0.0.10/24");
  }
  if (!/^\d{1,3}$/.test(length)) {
    throw wrong(`a prefix length is wanted, as in ${address}/24`);
  }
  const prefix = Number(length);
  const longest = family === 4 ? 32 : 128;
  if (prefix < 1 || prefix > longest) throw wrong(`a prefix length is 1 to ${longest}`);
  return { address, prefix, family };
}

/** `address` in the one spelling that the kernel uses. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}

/** Whether `address` is one of `networks`, addresses or ADDRESS/PREFIX, or lies in one. */
export function inNetworks(address: string, networks: readonly string[]): boolean {
  if (isIP(address) === 0) return false;
  const list = new BlockList();
  const family = isIPv4(address) ? "ipv4" : "ipv6";
  for (const network of networks) {
    const [base = "", prefix] = network.split("/");
    // To Node an IPv4 address lies in IPv6 networks too.
    if (isIP(base) !== isIP(address)) continue;
    if (prefix === undefined) list.addAddress(base, family);
    else list.addSubnet(base, Number(prefix), family);
  }
  return list.check(address, family);
}

/** Whether `address` lies in the subnet of `cidr`. Another family: no. */
export function inSubnet(address: string, cidr: Cidr): boolean {
  if (isIP(address) !== cidr.family) return false;
  const family = cidr.family === 4 ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(cidr.address, cidr.prefix, family);
  return list.check(address, family);
}

/** Whether two texts are the same address; IPv6 has several spellings of one. */
export function sameAddress(a: string, b: string): boolean {
  const family = isIP(b);
  if (family !== 4 && family !== 6) return false;
  return inSubnet(a, { address: b, prefix: family === 4 ? 32 : 128, family });
}

/**
 * Whether programs here may listen on IPv6: the kernel has it, whether or not an address is set.
 */
export async function hasIpv6(): Promise<boolean> {
  return (await portFree(0, "::")).free;
}

/**
 * Addresses of interfaces that are up and have a carrier, loopback and link-local left out.
 * Danger: a pulled cable makes them vanish; what must outlast that asks `configuredAddresses`.
 */
export function localAddresses(): LocalAddress[] {
  const found: LocalAddress[] = [];
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    for (const each of addresses ?? []) {
      if (each.internal || each.cidr === null || each.address.startsWith("fe80:")) continue;
      const { address, prefix, family } = parseCidr(each.cidr);
      found.push({ interface: name, address, family, prefix });
    }
  }
  return found;
}

/**
 * All addresses as they are configured, also without a carrier. Throws Fault `host.command-failed`.
 */
export async function configuredAddresses(): Promise<LocalAddress[]> {
  return parseAddresses(await run(["ip", "-j", "addr", "show"], { withinMs: ASK_MS }));
}

/** The names of all interfaces but loopback, up or not. Throws Fault `host.command-failed`. */
export async function listLinks(): Promise<string[]> {
  const links = LinkNames.parse(parseJson(await run(["ip", "-j", "link", "show"])));
  return links.flatMap(({ ifname, flags }) => (flags.includes("LOOPBACK") ? [] : [ifname]));
}

const LinkNames = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));

const Links = z.array(
  z.object({
    ifname: z.string(),
    addr_info: z
      .array(z.object({ local: z.string(), prefixlen: z.number(), scope: z.string().optional() }))
      .catch([]),
  }),
);

/** Reads `ip -j addr show`, loopback and link-local left out; none when it isn't understood. */
export function parseAddresses(json: string): LocalAddress[] {
  const links = Links.safeParse(parseJson(json));
  return (links.data ?? []).flatMap((link) =>
    link.addr_info.flatMap(({ local, prefixlen, scope }) => {
      const family = isIP(local);
      if ((family !== 4 && family !== 6) || scope === "link" || scope === "host") return [];
      return [{ interface: link.ifname, address: local, family, prefix: prefixlen } as const];
    }),
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The interface on whose subnet `cidr` lies; of several, the one with the longest prefix. */
export function interfaceFor(
  cidr: Cidr,
  local: readonly LocalAddress[] = localAddresses(),
): LocalAddress | undefined {
  return local
    .filter((each) => each.address !== cidr.address && inSubnet(cidr.address, each))
    .sort((a, b) => b.prefix - a.prefix)[0];
}

export type AddressHolder = "nobody" | "this-server" | "another";

/**
 * Who answers for `address` on `device` now: asked by ping and, for hosts that drop it, by ARP or
 * ND; nobody but this server where it has no such network. This server may take the address
 * meanwhile, and answers itself then.
 */
export async function whoHolds(
  address: string,
  device: string | undefined,
): Promise<AddressHolder> {
  if (isLocal(address)) return "this-server";
  if (device === undefined) return "nobody";
  const answered = await answers(address, device);
  if (isLocal(address)) return "this-server";
  return answered ? "another" : "nobody";
}

function isLocal(address: string): boolean {
  return localAddresses().some((each) => sameAddress(each.address, address));
}

async function answers(address: string, device: string): Promise<boolean> {
  // An old entry of a host that is gone would pass for an answer. Needs root; without, it is only
  // slower to judge.
  await tryRun(["ip", "neigh", "del", address, "dev", device], { withinMs: ASK_MS });
  const family = isIPv4(address) ? "-4" : "-6";
  const ping = await tryRun(
    ["ping", family, "-n", "-c", "2", "-i", "0.3", "-W", "1", "-I", device, address],
    { withinMs: ASK_MS },
  );
  const shown = await tryRun(["ip", "-j", "neigh", "show", address, "dev", device], {
    withinMs: ASK_MS,
  });
  return ping.ok || parseNeighbour(shown.stdout, address) !== undefined;
}

/**
 * The link-layer address under which `address` is known in `ip -j neigh`; undefined when nobody
 * answered for it.
 */
export function parseNeighbour(json: string, address: string): string | undefined {
  for (const { dst, lladdr, state } of Neighbours.safeParse(parseJson(json)).data ?? []) {
    const dead = state.includes("FAILED") || state.includes("INCOMPLETE");
    if (dst === address && !dead && lladdr !== undefined) return lladdr;
  }
  return undefined;
}

const Neighbours = z.array(
  z.object({
    dst: z.string(),
    lladdr: z.string().optional(),
    state: z.array(z.string()).catch([]),
  }),
);

export type PortState =
  | { port: number; free: true }
  | { port: number; free: false; because: string };

/** Whether each TCP port can be listened on at `address` now; who has it where that can be told. */
export async function portsFree(
  ports: readonly number[],
  address = "0.0.0.0",
): Promise<PortState[]> {
  return Promise.all(ports.map(async (port) => portFree(port, address)));
}

async function portFree(port: number, address: string): Promise<PortState> {
  const failure = await new Promise<Error | undefined>((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ port, host: address, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
  if (failure === undefined) return { port, free: true };
  if (!("code" in failure) || failure.code !== "EADDRINUSE") {
    return { port, free: false, because: messageOf(failure) };
  }
  const shown = await tryRun(["ss", "-H", "-l", "-t", "-n", "-p", "sport", "=", `:${port}`], {
    withinMs: ASK_MS,
  }).catch(() => undefined);
  const owner = parseListener(shown?.stdout ?? "");
  return { port, free: false, because: `${owner ?? "another program"} listens on it` };
}

/** "haproxy (process 812)" from a line of ss -ltnp; undefined when it doesn't tell. */
export function parseListener(text: string): string | undefined {
  const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(text);
  return match === null ? undefined : `${match[1] ?? ""} (process ${match[2] ?? ""})`;
}

/**
 * Addresses that `name` resolves to as programs here see it (hosts file and DNS); none when it
 * doesn't.
 */
export async function resolveName(name: string, signal?: AbortSignal): Promise<string[]> {
  const end = deadline(RESOLVE_MS, signal);
  const given = new Promise<never[]>((resolve) => {
    end.addEventListener("abort", () => resolve([]), { once: true });
  });
  const found = lookup(name, { all: true }).then(
    (addresses) => addresses.map((each) => each.address),
    () => [],
  );
  return Promise.race([found, given]);
}
