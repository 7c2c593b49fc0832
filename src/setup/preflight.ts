// What must hold before init or join changes anything. Facts are gathered first, then judged in one
// pure function, so that all problems are listed at once.

import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";

export interface Check {
  name: string;
  verdict: "ok" | "warning" | "fatal";
  /** What was found. */
  found: string;
  /** Stable code of a problem, as in docs/errors.md. */
  code?: string;
  /** What to do about it. */
  remedy?: string;
}

export interface PreflightFacts {
  root: boolean;
  /** The packaging that was found, or why none was. */
  puppet: { kind: string; version: string | undefined } | { missing: string };
  /** Undefined where the program isn't installed. */
  versions: {
    haproxy?: string | undefined;
    keepalived?: string | undefined;
    etcd?: string | undefined;
  };
  /** Ports that somebody listens on, with who. */
  takenPorts: { port: number; by: string }[];
  /** This server's own addresses. */
  localAddresses: string[];
  address: string;
  clockSynchronized: boolean | undefined;
  sharedName: string;
  sharedNameResolvesTo: string[];
  certname: string;
  certnameResolvesTo: string[];
  virtualIps: {
    address: string;
    interface: string | undefined;
    heldBy: "nobody" | "this-server" | "another";
  }[];
  /** Median of small synced writes below /var/lib, milliseconds. */
  fsyncMs: number;
  memoryMiB: number;
  /** What can't be understood in puppetserver's configuration, if anything. */
  configurationProblem: { message: string; hints: readonly string[] } | undefined;
  /** The state of the CA directory, or what is wrong with it. */
  caDirectory: { state: "absent" | "complete" } | { problem: string };
}

const NEEDED = { haproxy: [2, 6], keepalived: [2, 2], etcd: [3, 4] } as const;
/** etcd wants a write-ahead log sync within a heartbeat (100 ms); far below is healthy. */
const FSYNC_MS_WARN = 25;
const MEMORY_MIB_WARN = 1500;

/** Judges the facts; every check is listed, whether it went well or not. */
export function decidePreflight(kind: "init" | "join", facts: PreflightFacts): Check[] {
  return [
    checkRoot(facts),
    checkPuppet(facts),
    ...(["haproxy", "keepalived", "etcd"] as const).map((program) => checkVersion(program, facts)),
    checkPorts(facts),
    checkAddress(facts),
    checkCertname(facts),
    checkClock(facts),
    checkSharedName(facts),
    ...facts.virtualIps.map((vip) => checkVirtualIp(vip, kind)),
    checkFsync(facts),
    checkMemory(facts),
    checkConfiguration(facts),
    checkCaDirectory(facts, kind),
  ];
}

/** Throws Fault `setup.preflight` that lists all fatal problems; returns the checks otherwise. */
export function requirePreflight(checks: Check[]): Check[] {
  const fatal = checks.filter((check) => check.verdict === "fatal");
  if (fatal.length === 0) return checks;
  const lines = fatal.flatMap((check) => [
    `${check.code ?? check.name}: ${check.found}`,
    ...(check.remedy === undefined ? [] : [`  ${check.remedy}`]),
  ]);
  const count = fatal.length === 1 ? "1 problem" : `${fatal.length} problems`;
  throw new Fault("setup.preflight", `${count} must be solved first; nothing was changed`, {
    hints: lines,
  });
}

/** The checks as a table for people. */
export function renderChecks(checks: Check[]): string {
  const marks = { ok: "✓", warning: "!", fatal: "✗" };
  const rows = checks.map((check) => [marks[check.verdict], check.name, check.found]);
  return renderTable(["", "CHECK", "FOUND"], rows);
}

function ok(name: string, found: string): Check {
  return { name, verdict: "ok", found };
}

function bad(
  verdict: "warning" | "fatal",
  name: string,
  problem: { code: string; found: string; remedy: string },
): Check {
  return { name, verdict, ...problem };
}

function checkRoot(facts: PreflightFacts): Check {
  if (facts.root) return ok("root", "yes");
  const remedy = "Run the command as root, or with sudo.";
  return bad("fatal", "root", { code: "setup.not-root", found: "this needs root", remedy });
}

function checkPuppet(facts: PreflightFacts): Check {
  const { puppet } = facts;
  if ("missing" in puppet) {
    const remedy =
      "apt-get install puppetserver, or OpenVox Server. Leave its configuration as it is.";
    return bad("fatal", "puppetserver", {
      code: "host.no-puppetserver",
      found: puppet.missing,
      remedy,
    });
  }
  return ok("puppetserver", `${puppet.version ?? "unknown version"}, ${puppet.kind} packages`);
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
  if (facts.takenPorts.length === 0) return ok("ports", "free");
  const taken = facts.takenPorts.map(({ port, by }) => `${port} (${by})`).join(", ");
  const remedy = "Stop what listens there: these ports are Understudy's. See docs/ports.md.";
  return bad("fatal", "ports", { code: "setup.port-taken", found: `in use: ${taken}`, remedy });
}

function checkAddress(facts: PreflightFacts): Check {
  if (facts.localAddresses.includes(facts.address)) return ok("address", facts.address);
  return bad("fatal", "address", {
    code: "setup.address",
    found: `${facts.address} isn't an address of this server (${facts.localAddresses.join(", ")})`,
    remedy: "Give the one that the other servers reach: --address ADDRESS",
  });
}

function checkCertname(facts: PreflightFacts): Check {
  const { certname, certnameResolvesTo, address } = facts;
  if (certnameResolvesTo.includes(address)) return ok("certname", certname);
  const found =
    certnameResolvesTo.length === 0
      ? `${certname} doesn't resolve`
      : `${certname} resolves to ${certnameResolvesTo.join(", ")}, not to ${address}`;
  const remedy = "Fine if agents use the shared name only; else correct DNS or /etc/hosts.";
  return bad("warning", "certname", { code: "setup.name", found, remedy });
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

function checkSharedName(facts: PreflightFacts): Check {
  const { sharedName, sharedNameResolvesTo, virtualIps } = facts;
  const expected = virtualIps.map((vip) => vip.address);
  if (sharedNameResolvesTo.length === 0) {
    const remedy =
      "Agents need it: add it to DNS (or to /etc/hosts here, for the server's own agent).";
    return bad("warning", "shared name", {
      code: "setup.shared-name",
      found: `${sharedName} doesn't resolve`,
      remedy,
    });
  }
  const found = `${sharedName} is ${sharedNameResolvesTo.join(", ")}`;
  if (expected.length === 0 || sharedNameResolvesTo.some((each) => expected.includes(each))) {
    return ok("shared name", found);
  }
  const remedy = `Point it to ${expected.join(" or ")} in DNS.`;
  return bad("warning", "shared name", { code: "setup.shared-name", found, remedy });
}

function checkVirtualIp(vip: PreflightFacts["virtualIps"][number], kind: "init" | "join"): Check {
  const name = `virtual IP ${vip.address}`;
  if (vip.interface === undefined) {
    return bad("fatal", name, {
      code: "setup.vip-subnet",
      found: "lies in no subnet of this server's interfaces",
      remedy: "A virtual IP is an unused address of a network that all servers are in.",
    });
  }
  // A joiner finds it at the cluster, which is where it belongs.
  if (vip.heldBy === "another" && kind === "init") {
    return bad("fatal", name, {
      code: "setup.vip-taken",
      found: "somebody answers at it already",
      remedy: "Take another address, or release it there first.",
    });
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

function checkConfiguration(facts: PreflightFacts): Check {
  const problem = facts.configurationProblem;
  if (problem === undefined) return ok("puppetserver's configuration", "understood");
  return bad("fatal", "puppetserver's configuration", {
    code: "puppetserver.config-unknown",
    found: problem.message,
    remedy: problem.hints.join(" "),
  });
}

function checkCaDirectory(facts: PreflightFacts, kind: "init" | "join"): Check {
  const name = "CA directory";
  if ("problem" in facts.caDirectory) {
    return bad("fatal", name, {
      code: "ca.directory-partial",
      found: facts.caDirectory.problem,
      remedy:
        "Restore what is missing from a backup, or move the directory away. It is never overwritten.",
    });
  }
  if (facts.caDirectory.state === "absent") {
    return ok(name, kind === "init" ? "none: a new CA will be made" : "none");
  }
  if (kind === "init") return ok(name, "there is one: it is kept and taken over as it is");
  return bad("fatal", name, {
    code: "join.own-ca",
    found: "this server has a CA of its own",
    remedy: "If it is of no use any more, move the directory away, and the ssl directory with it.",
  });
}
