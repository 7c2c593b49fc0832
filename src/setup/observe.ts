// Gathers what preflight judges. Only looks; changes nothing but a scratch file for the disk's
// speed.

import { isFault } from "../base/fault.ts";
import { readAuthority as readCaDirectory } from "../ca/directory-state.ts";
import { measureFsync, readFacts } from "../host/facts.ts";
import {
  interfaceFor,
  localAddresses,
  parseCidr,
  portsFree,
  resolveName,
  whoHolds,
} from "../host/network.ts";
import { PORTS } from "../host/paths.ts";
import { tryRun } from "../host/process.ts";
import { type PuppetLayout, readPuppetLayout } from "../host/puppet-layout.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planPuppetserver } from "../puppetserver/plan.ts";
import type { PreflightFacts } from "./preflight.ts";
import { puppetserverWish } from "./wish.ts";

/** What is wanted of this server. */
export interface Wanted {
  sharedName: string;
  address: string;
  virtualIps: string[];
  /**
   * Programs of ours that run already, when an interrupted setup goes on: their ports are taken by
   * them.
   */
  resumed: boolean;
  /** It has brought the CA directory here itself, as far as there is one. */
  caIsOurs: boolean;
}

/** Everything that preflight asks, and the packaging of Puppet where there is one. */
export async function observeHost(
  wanted: Wanted,
): Promise<{ facts: PreflightFacts; layout: PuppetLayout | undefined }> {
  const found = await readPuppetLayout().catch((error: unknown) => {
    if (isFault(error, "host.no-puppetserver")) return error;
    throw error;
  });
  const layout = found instanceof Error ? undefined : found;
  const [host, fsyncMs, takenPorts, virtualIps, certnameAt, sharedAt, clock] = await Promise.all([
    readFacts(),
    measureFsync("/var/lib"),
    wanted.resumed ? [] : observePorts(),
    Promise.all(wanted.virtualIps.map(observeVirtualIp)),
    layout?.certname === undefined ? [] : resolveName(layout.certname),
    resolveName(wanted.sharedName),
    observeClock(),
  ]);
  const facts: PreflightFacts = {
    root: process.getuid?.() === 0,
    puppet:
      layout === undefined
        ? { missing: found instanceof Error ? found.message : "not found" }
        : { kind: layout.kind, version: layout.versions.puppetserver },
    versions: host.versions,
    takenPorts,
    localAddresses: localAddresses().map((each) => each.address),
    address: wanted.address,
    clockSynchronized: clock,
    sharedName: wanted.sharedName,
    sharedNameResolvesTo: sharedAt,
    certname: layout?.certname ?? host.name,
    certnameResolvesTo: certnameAt,
    virtualIps,
    fsyncMs,
    memoryMiB: host.memoryMiB,
    configurationProblem: layout && (await observeConfiguration(layout, wanted.sharedName)),
    caDirectory:
      layout === undefined || wanted.caIsOurs
        ? { state: "absent" }
        : await observeCaDirectory(layout),
  };
  return { facts, layout };
}

async function observePorts(): Promise<PreflightFacts["takenPorts"]> {
  // 8140 is puppetserver's own until it is moved behind the edge.
  const ours = Object.values(PORTS).filter((port) => port !== PORTS.edge);
  const states = await portsFree(ours);
  const edge = (await portsFree([PORTS.edge])).filter(
    (state) => state.free || !state.because.startsWith("java "),
  );
  return [...edge, ...states].flatMap((state) =>
    state.free ? [] : [{ port: state.port, by: state.because }],
  );
}

async function observeVirtualIp(vip: string): Promise<PreflightFacts["virtualIps"][number]> {
  const cidr = parseCidr(vip);
  const device = interfaceFor(cidr);
  if (device === undefined)
    return { address: cidr.address, interface: undefined, heldBy: "nobody" };
  const held = await whoHolds(cidr.address, device.interface);
  return { address: cidr.address, interface: device.interface, heldBy: held.holder };
}

async function observeClock(): Promise<boolean | undefined> {
  const asked = await tryRun(["timedatectl", "show", "-p", "NTPSynchronized", "--value"]).catch(
    () => undefined,
  );
  if (asked?.ok !== true) return undefined;
  return asked.stdout.trim() === "yes";
}

async function observeConfiguration(
  layout: PuppetLayout,
  sharedName: string,
): Promise<PreflightFacts["configurationProblem"]> {
  try {
    const wish = puppetserverWish(sharedName);
    planPuppetserver(wish, await observePuppetserver(layout, wish.listener));
    return undefined;
  } catch (error) {
    if (isFault(error, "puppetserver")) return { message: error.message, hints: error.hints };
    throw error;
  }
}

async function observeCaDirectory(layout: PuppetLayout): Promise<PreflightFacts["caDirectory"]> {
  const found = await readCaDirectory(layout.cadir);
  if (found.state !== "partial") return { state: found.state };
  return { problem: `${layout.cadir} is there but not whole: ${found.problems.join("; ")}` };
}
