// The lab's network: a switch (a bridge in a namespace of its own) and one cable (veth) per host.
// Danger: a host's named namespace outlives its processes, so a dead host would go on answering;
// a power cut therefore takes the cable out first and the namespace away after.

import { readdir } from "node:fs/promises";
import { Fault } from "../src/base/fault.ts";
import { run, tryRun } from "../src/host/process.ts";
import { PREFIX } from "./instance.ts";
import {
  cutRuleset,
  hostNetworkCommands,
  namespaceOf,
  plugCommands,
  relayPort,
  SWITCH_NS,
  switchCommands,
} from "./plan.ts";

/**
 * "in": nothing reaches the host. "out": nothing leaves it. "both": the cable is out, and the host
 * sees that.
 */
export type CutDirection = "both" | "in" | "out" | "silent";

export interface LinkState {
  /** Whether the cable is in. */
  plugged: boolean;
  /** Directions in which packets vanish without a trace. */
  dropped: ("in" | "out")[];
  /** Whether packets go through a relay that delays or loses them. */
  slow: boolean;
}

/** Makes the switch. */
export async function makeSwitch(): Promise<void> {
  await run(["ip", "netns", "add", SWITCH_NS]);
  // Ports are no hosts: they must not speak IPv6 of their own.
  const quiet = ["all", "default"].map((which) => `net.ipv6.conf.${which}.disable_ipv6=1`);
  await run(inNs(SWITCH_NS, ["sysctl", "-q", "-w", ...quiet]));
  await ipBatch(SWITCH_NS, switchCommands());
  await inNamespace(SWITCH_NS, ["nft", "-f", "-"], cutRuleset());
}

/** Makes the namespace of `host` and plugs it in. */
export async function plugIn(host: string): Promise<void> {
  await run(["ip", "netns", "add", namespaceOf(host)]);
  await ipBatch(SWITCH_NS, plugCommands(host));
  await ipBatch(namespaceOf(host), hostNetworkCommands(host));
}

/**
 * Pulls the cable of `host`, and returns when it was out, ms since the epoch. The shell that does
 * it tells the time, since this process may hear of it late: nobody can have taken over by then,
 * so that what was open at that time was open to `host`.
 */
export async function pullCable(host: string): Promise<number> {
  const pull = 'ip -n "$1" link set "$2" down && echo "$EPOCHREALTIME"';
  const env = { ...process.env, LC_ALL: "C" };
  const seconds = await run(["bash", "-c", pull, "pull", SWITCH_NS, host], { env });
  return Math.floor(Number(seconds) * 1000);
}

/** Takes packets to or from `host` away. Cuts add up until `heal`. */
export async function cut(host: string, direction: CutDirection): Promise<void> {
  if (direction === "both") {
    await pullCable(host);
    return;
  }
  const script: string[] = [];
  if (direction !== "out") script.push(`add element bridge cuts to { ${portsOf(host)} }`);
  if (direction !== "in") script.push(`add element bridge cuts from { ${portsOf(host)} }`);
  await inNamespace(SWITCH_NS, ["nft", "-f", "-"], `${script.join("\n")}\n`);
}

/** Undoes every cut of `host`. */
export async function heal(host: string): Promise<void> {
  const { dropped, plugged } = await linkState(host);
  const sets = dropped.map((direction) => (direction === "in" ? "to" : "from"));
  const script = sets
    .map((set) => `delete element bridge cuts ${set} { ${portsOf(host)} }\n`)
    .join("");
  if (script !== "") await inNamespace(SWITCH_NS, ["nft", "-f", "-"], script);
  if (!plugged) await run(["ip", "-n", SWITCH_NS, "link", "set", host, "up"]);
}

/** What is cut at `host`, read from the kernel. */
export async function linkState(host: string): Promise<LinkState> {
  const link = await tryRun(["ip", "-n", SWITCH_NS, "-j", "link", "show", host]);
  const from = await run(inNs(SWITCH_NS, ["nft", "-j", "list", "set", "bridge", "cuts", "from"]));
  const to = await run(inNs(SWITCH_NS, ["nft", "-j", "list", "set", "bridge", "cuts", "to"]));
  const dropped: LinkState["dropped"] = [];
  if (parseSetElements(to).includes(host)) dropped.push("in");
  if (parseSetElements(from).includes(host)) dropped.push("out");
  const relay = await tryRun(["ip", "-n", SWITCH_NS, "link", "show", relayPort(host).port]);
  return { plugged: link.ok && link.stdout.includes('"UP"'), dropped, slow: relay.ok };
}

/** The elements of the one set in `nft -j list set`. */
export function parseSetElements(json: string): string[] {
  const parsed = JSON.parse(json) as { nftables: { set?: { elem?: string[] } }[] };
  return parsed.nftables.flatMap((entry) => entry.set?.elem ?? []);
}

/** The ports that frames of `host` pass: its own, or its relay's while it is slow. */
function portsOf(host: string): string {
  return `${host}, ${relayPort(host).port}`;
}

/** Takes the cable and the namespace of `host` away. Nothing there is no error. */
export async function unplug(host: string): Promise<void> {
  for (const port of [host, relayPort(host).port]) {
    await tryRun(["ip", "-n", SWITCH_NS, "link", "delete", port]);
  }
  await removeNamespace(namespaceOf(host));
}

export async function removeNamespace(name: string): Promise<void> {
  if (!(await listNamespaces()).includes(name)) return;
  await run(["ip", "netns", "delete", name]);
}

/** Network namespaces that carry the lab's prefix. */
export async function listNamespaces(): Promise<string[]> {
  const names = await readdir("/run/netns").catch(() => []);
  return names.filter((name) => name.startsWith(`${PREFIX}-`));
}

/** A command line that runs `argv`, a program of this machine, in a network namespace. */
export function inNs(namespace: string, argv: readonly string[]): string[] {
  return ["nsenter", `--net=/run/netns/${namespace}`, "--", ...argv];
}

async function inNamespace(namespace: string, argv: string[], input: string): Promise<void> {
  const result = await tryRun(inNs(namespace, argv), { input });
  if (result.ok) return;
  throw new Fault("lab.network", `${argv.join(" ")}: ${result.stderr.trim()}`);
}

/** Runs lines of `ip -batch` in a namespace. Fault `lab.network`. */
export async function ipBatch(namespace: string, lines: string[]): Promise<void> {
  const input = `${lines.join("\n")}\n`;
  const result = await tryRun(["ip", "-n", namespace, "-batch", "-"], { input });
  if (result.ok) return;
  throw new Fault("lab.network", `ip in ${namespace}: ${result.stderr.trim()}`);
}
