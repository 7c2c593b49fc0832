// Preflight's checks of the server itself: programs, ports, addresses, clock, disk, memory. Pure.

import { isIPv6 } from "node:net";
import { PORTS } from "../host/paths.ts";
import { bad, type Check, ok } from "./check.ts";
import type { PreflightFacts, VirtualIpFacts } from "./facts.ts";

const NEEDED = { haproxy: [2, 6], keepalived: [2, 2], etcd: [3, 4] } as const;
/** etcd wants a write-ahead log sync within a heartbeat (100 ms); far below is healthy. */
const FSYNC_MS_WARN = 25;
const MEMORY_MIB_WARN = 1500;
/**
 * puppetserver's until it is moved behind the edge, and where it may be behind a balancer already;
 * PuppetDB's until `puppetdb enable`.
 */
const UNTIL_MOVED: ReadonlySet<number> = new Set([PORTS.edge, PORTS.puppetserver, PORTS.courier]);

export function checkHost(kind: "init" | "join", facts: PreflightFacts): Check[] {
  return [
    checkRoot(facts),
    ...(["haproxy", "keepalived", "etcd"] as const).map((program) => checkVersion(program, facts)),
    checkPorts(facts),
    checkAddress(facts),
    checkClock(facts),
    ...facts.virtualIps.map((vip) => checkVirtualIp(vip, kind, facts)),
    checkFsync(facts),
    checkMemory(facts),
  ];
}

function checkRoot(facts: PreflightFacts): Check {
  if (facts.root) return ok("root", "yes");
  const remedy = "Run the command as root, or with sudo.";
  return bad("fatal", "root", { code: "setup.not-root", found: "this needs root", remedy });
}

function checkVersion(program: keyof typeof NEEDED, facts: PreflightFacts): Check {
  const version = facts.versions[program];
  const [major, minor] = NEEDED[program];
  const [, foundMajor, foundMinor] = /^(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  const enough =
    Number(foundMajor) > major || (Number(foundMajor) === major && Number(foundMinor) >= minor);
  if (version !== undefined && enough) return ok(program, version);
  return bad("fatal", program, {
    code: "setup.program-version",
    found:
      version === undefined ? `${program} isn't installed` : `${program} ${version} is too old`,
    remedy: `${major}.${minor} or newer is needed: apt-get install ${program === "etcd" ? "etcd-server" : program}`,
  });
}

function checkPorts(facts: PreflightFacts): Check {
  const inTheWay = facts.takenPorts.filter(
    ({ port, by }) => !(UNTIL_MOVED.has(port) && by.startsWith("java ")),
  );
  if (inTheWay.length === 0) return ok("ports", "free");
  const taken = inTheWay.map(({ port, by }) => `${port} (${by})`).join(", ");
  const remedy =
    "Stop what listens there: these ports are Understudy's. See /usr/share/doc/understudy/ports.md.";
  return bad("fatal", "ports", { code: "setup.port-taken", found: `in use: ${taken}`, remedy });
}

function checkAddress(facts: PreflightFacts): Check {
  const { address, localAddresses } = facts;
  if (isIPv6(address)) {
    return bad("fatal", "address", {
      code: "setup.address",
      found: `${address} is an IPv6 address`,
      remedy: "Members reach each other by IPv4: --address ADDRESS. Agents may use either.",
    });
  }
  if (localAddresses.includes(address)) return ok("address", address);
  return bad("fatal", "address", {
    code: "setup.address",
    found: `${address} isn't an address of this server (${localAddresses.join(", ")})`,
    remedy: "Give the one that the other servers reach: --address ADDRESS",
  });
}

function checkClock(facts: PreflightFacts): Check {
  if (facts.clockSynchronized === true) return ok("clock", "synchronized");
  const found =
    facts.clockSynchronized === false
      ? "not synchronized"
      : "whether it is synchronized is unknown";
  const remedy = "Run chrony or systemd-timesyncd: a server whose clock is 60 s off signs nothing.";
  return bad("warning", "clock", { code: "setup.clock", found, remedy });
}

function checkVirtualIp(vip: VirtualIpFacts, kind: "init" | "join", facts: PreflightFacts): Check {
  const name = `virtual IP ${vip.address}`;
  const fatal = (code: string, found: string, remedy: string) =>
    bad("fatal", name, { code, found, remedy });
  const leads = facts.virtualIps.some(({ address }) => isIPv6(address) === isIPv6(facts.address));
  if (!leads) {
    return fatal(
      "setup.vip-family",
      "there is no IPv4 one beside it, which it needs to move with",
      "Servers watch each other by IPv4: add an IPv4 virtual IP of the same network interface.",
    );
  }
  if (vip.address === facts.address) {
    return fatal(
      "setup.vip-own",
      "it is this server's own address",
      "A virtual IP moves between servers: take an unused one of their network.",
    );
  }
  // An interrupted setup may have come as far as to hold it.
  if (vip.heldBy === "this-server" && !facts.resumed) {
    const first = vip.interface === undefined ? "Give the server one of its own there first. " : "";
    const only = vip.interface === undefined ? ", and no other address of its network" : "";
    return fatal(
      "setup.vip-own",
      `this server has it already${only}`,
      `${first}Take it out of the network configuration, and out of what moves it now.`,
    );
  }
  if (vip.interface === undefined) {
    return fatal(
      "setup.vip-subnet",
      "lies in no subnet of this server's interfaces",
      "A virtual IP is an unused address of a network that all servers are in.",
    );
  }
  // A joiner finds it at the cluster, which is where it belongs.
  if (vip.heldBy === "another" && kind === "init") {
    return fatal(
      "setup.vip-taken",
      "somebody answers at it already",
      "Take another address, or release it there first.",
    );
  }
  return ok(name, `on ${vip.interface}`);
}

function checkFsync(facts: PreflightFacts): Check {
  const found = `${facts.fsyncMs.toFixed(1)} ms`;
  if (facts.fsyncMs <= FSYNC_MS_WARN) return ok("disk sync", found);
  const remedy =
    "etcd needs a disk that syncs fast; changes will be slow, and elections may happen.";
  return bad("warning", "disk sync", { code: "setup.slow-disk", found, remedy });
}

function checkMemory(facts: PreflightFacts): Check {
  if (facts.memoryMiB >= MEMORY_MIB_WARN) return ok("memory", `${facts.memoryMiB} MiB`);
  const remedy = "puppetserver alone wants 1 GiB and more.";
  return bad("warning", "memory", {
    code: "setup.memory",
    found: `${facts.memoryMiB} MiB`,
    remedy,
  });
}
