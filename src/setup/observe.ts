// Gathers what preflight judges. Only looks; changes nothing but a scratch file for the disk's
// speed.

import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Fault, isFault, messageOf } from "../base/fault.ts";
import { readAuthority as readCaDirectory } from "../ca/directory-state.ts";
import { checkTtl, readCaConf, usesInfraCrl } from "../ca/settings.ts";
import { measureFsync, readFacts, readFqdn } from "../host/facts.ts";
import { exists, readIfThere } from "../host/files.ts";
import {
  interfaceFor,
  localAddresses,
  parseCidr,
  portsFree,
  resolveName,
  whoHolds,
} from "../host/network.ts";
import { PORTS, UNITS } from "../host/paths.ts";
import { tryRun } from "../host/process.ts";
import { type PuppetLayout, readPuppetLayout } from "../host/puppet-layout.ts";
import { showUnit } from "../host/systemd.ts";
import { observePuppetserver } from "../puppetserver/observe.ts";
import { planPuppetserver } from "../puppetserver/plan.ts";
import { ownCaRules } from "./ca-rules.ts";
import type { ConfigurationFacts, PreflightFacts, VirtualIpFacts } from "./facts.ts";
import { observeHostCertificate } from "./host-certificate.ts";
import { isBelow, parseWritable } from "./writable.ts";
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

/** Puppet as it is here, or the fault that says why it can't be told. */
export type FoundPuppet = { layout: PuppetLayout } | { layout: undefined; fault: Fault };

/** Looks for Puppet Server; that there is none is for preflight to say. */
export async function lookForPuppet(): Promise<FoundPuppet> {
  try {
    return { layout: await readPuppetLayout() };
  } catch (error) {
    for (const code of ["host.no-puppetserver", "host.puppet-silent"]) {
      if (isFault(error, code)) return { layout: undefined, fault: error };
    }
    throw error;
  }
}

/** Puppet's name of this server; without Puppet, the system's. */
export async function certnameOf({ layout }: FoundPuppet): Promise<string> {
  return layout?.certname ?? readFqdn();
}

/** Everything that preflight asks. */
export async function observeHost(wanted: Wanted, puppet: FoundPuppet): Promise<PreflightFacts> {
  const { layout } = puppet;
  const certname = await certnameOf(puppet);
  const [host, fsyncMs, takenPorts, virtualIps, certnameAt, sharedAt, clock] = await Promise.all([
    readFacts(),
    measureFsync("/var/lib"),
    wanted.resumed ? [] : observePorts(),
    Promise.all(wanted.virtualIps.map(observeVirtualIp)),
    resolveName(certname),
    resolveName(wanted.sharedName),
    observeClock(),
  ]);
  return {
    root: process.getuid?.() === 0,
    puppet:
      layout === undefined
        ? puppet.fault
        : { kind: layout.kind, version: layout.versions.puppetserver },
    versions: host.versions,
    takenPorts,
    localAddresses: localAddresses().map((each) => each.address),
    address: wanted.address,
    clockSynchronized: clock,
    sharedName: wanted.sharedName,
    sharedNameResolvesTo: sharedAt,
    certname,
    certnameResolvesTo: certnameAt,
    virtualIps,
    resumed: wanted.resumed,
    fsyncMs,
    memoryMiB: host.memoryMiB,
    ...(await observePuppet(layout, wanted)),
  };
}

type PuppetFacts = Pick<
  PreflightFacts,
  | "configuration"
  | "caDirectory"
  | "ownCaRules"
  | "caConf"
  | "caPort"
  | "hostCertificate"
  | "readOnly"
>;

async function observePuppet(
  layout: PuppetLayout | undefined,
  wanted: Wanted,
): Promise<PuppetFacts> {
  if (layout === undefined) {
    return {
      configuration: undefined,
      caDirectory: { path: "", state: "absent" },
      ownCaRules: undefined,
      caConf: undefined,
      caPort: undefined,
      hostCertificate: undefined,
      readOnly: [],
    };
  }
  const authConf = await readIfThere(join(layout.puppetserver.confD, "auth.conf"));
  return {
    configuration: await observeConfiguration(layout, wanted.sharedName),
    caDirectory: wanted.caIsOurs
      ? { path: layout.cadir, state: "absent" }
      : await observeCaDirectory(layout),
    ownCaRules: authConf === undefined ? undefined : ownCaRules(authConf),
    caConf: await observeCaConf(layout),
    caPort: layout.caPort,
    hostCertificate: await observeHostCertificate(layout),
    readOnly: await observeReadOnly(layout),
  };
}

async function observeCaConf(layout: PuppetLayout): Promise<PreflightFacts["caConf"]> {
  const path = join(layout.puppetserver.confD, "ca.conf");
  const text = await readIfThere(path);
  let said: ReturnType<typeof readCaConf>;
  try {
    said = readCaConf(text ?? "");
  } catch (error) {
    return { problem: `${path}: ${messageOf(error)}` };
  }
  try {
    if (said.caTtlSeconds === undefined) checkTtl("ca_ttl of puppet.conf", layout.caTtlSeconds);
  } catch (error) {
    return { problem: messageOf(error) };
  }
  return text === undefined ? undefined : { infraCrl: usesInfraCrl(text) };
}

async function observePorts(): Promise<PreflightFacts["takenPorts"]> {
  // The API has others where wanted.
  const { api: _, health: __, ...ours } = PORTS;
  const states = await portsFree(Object.values(ours));
  return states.flatMap((state) => (state.free ? [] : [{ port: state.port, by: state.because }]));
}

async function observeVirtualIp(vip: string): Promise<VirtualIpFacts> {
  const cidr = parseCidr(vip);
  const device = interfaceFor(cidr)?.interface;
  return {
    address: cidr.address,
    interface: device,
    heldBy: await whoHolds(cidr.address, device),
  };
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
): Promise<ConfigurationFacts> {
  try {
    const wish = puppetserverWish(sharedName);
    const observed = await observePuppetserver(layout, wish.listener);
    const actions = planPuppetserver(wish, observed);
    return {
      runs: observed.startedMs !== undefined,
      writes: actions
        .filter((action) => action.do === "write")
        .map(({ path, because }) => ({ path, because })),
    };
  } catch (error) {
    if (isFault(error, "puppetserver")) return { problem: error.message, hints: error.hints };
    throw error;
  }
}

async function observeCaDirectory({ cadir }: PuppetLayout): Promise<PreflightFacts["caDirectory"]> {
  const found = await readCaDirectory(cadir);
  if (found.state !== "partial") return { path: cadir, state: found.state };
  const problem = `${cadir} is there but not whole: ${found.problems.join("; ")}`;
  return { path: cadir, problem };
}

/** Which of Puppet's directories the sandbox of the daemon's unit keeps it from writing to. */
async function observeReadOnly(layout: PuppetLayout): Promise<string[]> {
  const shown = await showUnit(UNITS.daemon, ["ReadWritePaths"]).catch(() => undefined);
  const writable = parseWritable(shown?.["ReadWritePaths"] ?? "");
  if (writable.length === 0) return [];
  const { cadir, ssldir, hostcert, hostprivkey, localcacert, hostcrl } = layout;
  const files = [hostcert, hostprivkey, localcacert, hostcrl];
  const folders = new Set([cadir, ssldir, ...files.map((path) => dirname(path))]);
  const real = await Promise.all([...folders].map(realFolder));
  return [...new Set(real)].filter((path) => !writable.some((root) => isBelow(path, root)));
}

/** `path` with links resolved; where it isn't there yet, its nearest parent's. */
async function realFolder(path: string): Promise<string> {
  if (await exists(path)) return realpath(path);
  const parent = dirname(path);
  return parent === path ? path : join(await realFolder(parent), path.slice(parent.length));
}
