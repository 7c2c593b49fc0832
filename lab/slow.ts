// Slow and lossy links. The idea: the host's cable is taken off the switch, and a relay process
// carries its frames there, late. tc's netem would do it in the kernel, but many kernels lack it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../src/base/fault.ts";
import { run, tryRun } from "../src/host/process.ts";
import { endGroups, makeGroups } from "./cgroups.ts";
import { inNs, ipBatch } from "./network.ts";
import { BRIDGE, namespaceOf, relayPort, SWITCH_NS } from "./plan.ts";

const RELAY = join(import.meta.dirname, "relay.pl");
const DELAY_MS_MAX = 10_000;

export interface Slowness {
  /** Added to every packet, to and from the host: a round trip takes twice as long. */
  delayMs?: number;
  /** Of the packets in each direction. */
  lossPercent?: number;
}

/**
 * Makes the link of `host` slow, lossy or both, instead of any slowness it had. Fault
 * `lab.slowness`.
 */
export async function slow(host: string, slowness: Slowness): Promise<void> {
  const { delayMs = 0, lossPercent = 0 } = slowness;
  if (!(delayMs >= 0 && delayMs <= DELAY_MS_MAX && lossPercent >= 0 && lossPercent <= 100)) {
    throw new Fault("lab.slowness", `delay ${delayMs} ms, loss ${lossPercent} %: out of range`, {
      hints: [`A delay is 0 to ${DELAY_MS_MAX} ms, a loss 0 to 100 %.`],
    });
  }
  await unslow(host);
  const { port, inner } = relayPort(host);
  await ipBatch(SWITCH_NS, [
    `link add ${port} type veth peer name ${inner}`,
    `link set ${inner} up`,
    `link set ${host} nomaster`,
    `link set ${port} master ${BRIDGE} up`,
  ]);
  // The relay carries finished frames: whole segments and checksums, not what a card would finish.
  await finishFramesInSoftware(namespaceOf(host), "eth0");
  await finishFramesInSoftware(SWITCH_NS, port);
  await startRelay(host, inner, [`${delayMs}`, `${lossPercent}`]);
}

/** Plugs `host` straight into the switch again. Nothing slow there is no error. */
export async function unslow(host: string): Promise<void> {
  await endRelay(host);
  const { port } = relayPort(host);
  const there = await tryRun(["ip", "-n", SWITCH_NS, "link", "show", port]);
  if (!there.ok) return;
  await ipBatch(SWITCH_NS, [`link delete ${port}`, `link set ${host} master ${BRIDGE}`]);
}

/** Ends the relay of `host`, if any. */
export async function endRelay(host: string): Promise<void> {
  await endGroups(groupOf(host));
}

function groupOf(host: string): string {
  return `${host}-relay`;
}

async function finishFramesInSoftware(namespace: string, device: string): Promise<void> {
  const off = ["tx", "tso", "gso", "gro"].flatMap((feature) => [feature, "off"]);
  await run(inNs(namespace, ["ethtool", "-K", device, ...off]));
}

async function startRelay(host: string, inner: string, how: string[]): Promise<void> {
  const groups = await makeGroups(groupOf(host));
  const [program = "", ...args] = inNs(SWITCH_NS, ["perl", RELAY, host, inner, ...how]);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  for (const group of groups) await writeFile(group, `${child.pid}`);
  const ready = once(child.stdout, "data").then(() => true);
  const ended = once(child, "exit").then(() => false);
  if (!(await Promise.race([ready, ended]))) {
    throw new Fault("lab.network", `the relay of ${host} ended at once`);
  }
  child.stdout.destroy();
  child.unref();
}
