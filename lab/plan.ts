// The lab on paper: names, addresses and the files a fresh server gets. Pure.

import { Fault } from "../src/base/fault.ts";
import { PREFIX } from "./instance.ts";

/** The namespace that holds the bridge, so that the machine's own network is never touched. */
export const SWITCH_NS = `${PREFIX}-net`;
export const BRIDGE = "br0";
export const DOMAIN = "lab.test";
export const NETWORK = "10.88.0";
/** The bridge's own address: what runs in SWITCH_NS speaks to hosts from it. */
export const SWITCH_ADDRESS = `${NETWORK}.1`;
/** The virtual IP that /etc/hosts knows as the shared name. */
export const VIRTUAL_ADDRESS = `${NETWORK}.10`;
export const SHARED_NAME = `puppet.${DOMAIN}`;

/** First letter of a host's name → what its number is added to in the last byte of the address. */
const ADDRESS_BASE: Record<string, number> = { s: 10, a: 20, c: 30, w: 40 };
/** Hosts that /etc/hosts lists, booted or not: servers, agents' hosts, compilers, witnesses. */
const KNOWN_HOSTS = "s1 s2 s3 s4 s5 s6 a1 a2 a3 c1 c2 c3 w1".split(" ");

/**
 * The address of host "s1" (servers), "a1" (agents' hosts), "c1" (compilers), "w1". Fault
 * `lab.host-name`.
 */
export function addressOf(host: string): string {
  const [, letter = "", digit = ""] = /^([a-z])([1-9])$/.exec(host) ?? [];
  const base = ADDRESS_BASE[letter];
  if (base !== undefined) return `${NETWORK}.${base + Number(digit)}`;
  throw new Fault("lab.host-name", `"${host}" is no name of a lab host`, {
    hints: ["s1…s9 are servers, a1…a9 agents' hosts, c1…c9 compilers, w1…w9 witnesses"],
  });
}

export function fqdnOf(host: string): string {
  return `${host}.${DOMAIN}`;
}

/** The network namespace of `host`. */
export function namespaceOf(host: string): string {
  return `${PREFIX}-${host}`;
}

/** The switch's port of a host whose link is slow, and its inner end, where the relay is. */
export function relayPort(host: string): { port: string; inner: string } {
  return { port: `${host}-r`, inner: `${host}-q` };
}

/** A MAC address that stays the same over power cuts, as a real card's does. */
export function macOf(host: string): string {
  const bytes = addressOf(host)
    .split(".")
    .map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return `02:55:${bytes.join(":")}`;
}

/** The text of /etc/hosts on every host. */
export function renderHosts(): string {
  const lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"];
  lines.push(`${VIRTUAL_ADDRESS} ${SHARED_NAME} puppet`);
  for (const host of KNOWN_HOSTS) lines.push(`${addressOf(host)} ${fqdnOf(host)} ${host}`);
  return `${lines.join("\n")}\n`;
}

/** Lines for `ip -batch` that make the switch; SWITCH_NS must be there. */
export function switchCommands(): string[] {
  return [
    `link add ${BRIDGE} type bridge stp_state 0 forward_delay 0`,
    `addr add ${SWITCH_ADDRESS}/24 dev ${BRIDGE}`,
    "link set lo up",
    `link set ${BRIDGE} up`,
  ];
}

/** Lines for `ip -n SWITCH_NS -batch` that plug `host` in; its namespace must be there. */
export function plugCommands(host: string): string[] {
  const there = `netns ${namespaceOf(host)}`;
  return [
    `link add ${host} type veth peer name eth0 address ${macOf(host)} ${there}`,
    `link set ${host} master ${BRIDGE} up`,
  ];
}

/** Lines for `ip -n NAMESPACE -batch` inside the namespace of `host`. */
export function hostNetworkCommands(host: string): string[] {
  return ["link set lo up", `addr add ${addressOf(host)}/24 brd + dev eth0`, "link set eth0 up"];
}

/** The nft ruleset of SWITCH_NS: what one-directional and silent cuts put hosts into. */
export function cutRuleset(): string {
  return [
    "table bridge cuts {",
    "  set from { type ifname; }",
    "  set to { type ifname; }",
    "  chain incoming { type filter hook prerouting priority -300; iifname @from drop; }",
    "  chain outgoing { type filter hook postrouting priority 300; oifname @to drop; }",
    "}",
    "",
  ].join("\n");
}

/** systemd-nspawn's command line for `host` whose root file system is mounted at `root`. */
export function nspawnArgs(host: string, root: string): string[] {
  return [
    "systemd-nspawn",
    "--quiet",
    `--directory=${root}`,
    "--boot",
    // No machined, no scope: the lab needs neither and must work where PID 1 is no systemd.
    "--register=no",
    "--keep-unit",
    `--machine=${PREFIX}-${host}`,
    `--hostname=${host}`,
    `--network-namespace-path=/run/netns/${namespaceOf(host)}`,
    // Without it keepalived says MASTER and sets no address.
    "--capability=CAP_NET_ADMIN",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=pipe",
  ];
}
