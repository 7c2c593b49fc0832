// Where this server's packaging of Puppet keeps its things. Found by looking, never assumed: Debian
// has /etc/puppet and /var/lib/puppet, the vendor's packages (also OpenVox) /etc/puppetlabs and
// /opt/puppetlabs. Settings that puppet.conf may move are asked of puppet itself. Danger: a guess
// where puppet doesn't answer would make a second CA beside the one that is elsewhere.

import { join } from "node:path";
import { parseDuration } from "../base/duration.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { exists } from "./files.ts";
import { type RunResult, tryRun } from "./process.ts";
import { showUnit } from "./systemd.ts";

const ASK_MS = 60_000;

/** What the packages alone decide. */
export interface PuppetPlaces {
  kind: "debian" | "vendor";
  /** The programs themselves, by absolute path. */
  puppet: string;
  puppetConf: string;
  confDir: string;
  puppetserver: {
    program: string;
    /** conf.d with webserver.conf, auth.conf, ca.conf. */
    confD: string;
    /** Where it writes: facts, reports, temporary files. */
    varDir: string;
    /** The bootstrap file that turns the CA service on or off. */
    caCfg: string;
    user: string;
    group: string;
    unit: string;
    /** The file with JAVA_ARGS. */
    defaultsFile: string;
  };
}

/** What puppet itself says, in the section that puppetserver reads. */
export interface PuppetSettings {
  /** Puppet's own name of this server. */
  certname: string;
  ssldir: string;
  cadir: string;
  hostcert: string;
  hostprivkey: string;
  localcacert: string;
  hostcrl: string;
  /** Value of the setting: a path (allowlist or program), "true" or "false". */
  autosign: string;
  csrAttributes: string;
  allowDuplicateCerts: boolean;
  /** Where `puppetserver ca` and this server's agent ask the CA; nothing depends on it. */
  caPort: string | undefined;
  /** How long a certificate lasts; ca.conf may say otherwise. */
  caTtlSeconds: number;
}

export interface PuppetLayout extends PuppetPlaces, PuppetSettings {
  versions: { puppet: string | undefined; puppetserver: string | undefined };
}

const ASKED = [
  "certname",
  "ssldir",
  "cadir",
  "hostcert",
  "hostprivkey",
  "localcacert",
  "hostcrl",
  "autosign",
  "csr_attributes",
  "allow_duplicate_certs",
  "ca_ttl",
  "ca_port",
] as const;

/**
 * Finds Puppet Server below `root` (default: this system) and asks puppet for its settings. Throws
 * Fault `host.no-puppetserver`, or `host.puppet-silent` where puppet doesn't answer.
 */
export async function readPuppetLayout(root = "/"): Promise<PuppetLayout> {
  const found = await findPuppet(root);
  const [settings, puppet, puppetserver, owner] = await Promise.all([
    askSettings(root, found.puppet),
    ask(root, [found.puppet, "--version"]),
    ask(root, [found.puppetserver.program, "--version"]),
    unitOwner(found.puppetserver.unit, root),
  ]);
  return {
    ...found,
    ...settings,
    puppetserver: { ...found.puppetserver, ...owner },
    versions: { puppet: versionIn(puppet.stdout), puppetserver: versionIn(puppetserver.stdout) },
  };
}

/** Finds Puppet Server below `root`, asking nobody. Throws Fault `host.no-puppetserver`. */
export async function findPuppet(root = "/"): Promise<PuppetPlaces> {
  const looked: string[] = [];
  for (const places of CANDIDATES) {
    const wanted = [places.puppet, places.puppetserver.program, places.puppetserver.confD];
    const there = await Promise.all(wanted.map((path) => exists(join(root, path))));
    if (there.every(Boolean)) return withDefaultsFile(root, places);
    const missing = wanted.filter((_, index) => there[index] !== true);
    looked.push(`${places.kind} packages: no ${missing.join(", no ")}`);
  }
  throw new Fault("host.no-puppetserver", "Puppet Server is not installed on this server", {
    hints: [...looked, "Install it first: apt install puppetserver (or openvox-server)."],
  });
}

async function askSettings(root: string, puppet: string): Promise<PuppetSettings> {
  const argv = ["config", "print", "--section", "server", ...ASKED];
  const { ok, stdout, stderr } = await ask(root, [puppet, ...argv]);
  const said = `${stderr}\n${stdout}`.trim().split("\n").slice(0, 3);
  try {
    if (!ok) throw new Error("it fails, or takes more than a minute");
    return readSettings(parseConfigPrint(stdout));
  } catch (error) {
    throw new Fault(
      "host.puppet-silent",
      `puppet doesn't say how it is set up: ${messageOf(error)}`,
      { hints: [`Nothing is guessed. Try: ${puppet} ${argv.join(" ")}`, ...said], cause: error },
    );
  }
}

function readSettings(printed: Readonly<Record<string, string>>): PuppetSettings {
  const value = (name: (typeof ASKED)[number], pattern: RegExp) => {
    const text = printed[name] ?? "";
    if (pattern.test(text)) return text;
    throw new Error(`${name} is "${text}"`);
  };
  const path = (name: (typeof ASKED)[number]) => value(name, /^\//);
  return {
    certname: value("certname", /./),
    ssldir: path("ssldir"),
    cadir: path("cadir"),
    hostcert: path("hostcert"),
    hostprivkey: path("hostprivkey"),
    localcacert: path("localcacert"),
    hostcrl: path("hostcrl"),
    autosign: value("autosign", /^(?:\/.*|true|false)$/),
    csrAttributes: path("csr_attributes"),
    allowDuplicateCerts: value("allow_duplicate_certs", /^(?:true|false)$/) === "true",
    caPort: printed["ca_port"],
    caTtlSeconds: parseDuration(value("ca_ttl", /./)),
  };
}

/**
 * Reads `puppet config print` of several settings: "name = value" lines; anything else is noise.
 */
export function parseConfigPrint(text: string): Record<string, string> {
  const settings: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+) = (.*)$/.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) settings[match[1]] = match[2].trim();
  }
  return settings;
}

const CANDIDATES: readonly PuppetPlaces[] = [
  placesOf("vendor", "/etc/puppetlabs/puppet", "/opt/puppetlabs/bin"),
  placesOf("debian", "/etc/puppet", "/usr/bin"),
];

function placesOf(kind: PuppetPlaces["kind"], confDir: string, programs: string): PuppetPlaces {
  const server = kind === "vendor" ? "/etc/puppetlabs/puppetserver" : "/etc/puppet/puppetserver";
  return {
    kind,
    puppet: `${programs}/puppet`,
    puppetConf: `${confDir}/puppet.conf`,
    confDir,
    puppetserver: {
      program: `${programs}/puppetserver`,
      confD: `${server}/conf.d`,
      varDir:
        kind === "vendor" ? "/opt/puppetlabs/server/data/puppetserver" : "/var/lib/puppetserver",
      caCfg: `${server}/services.d/ca.cfg`,
      user: "puppet",
      group: "puppet",
      unit: "puppetserver.service",
      defaultsFile: "/etc/default/puppetserver",
    },
  };
}

/** RPM packages of the vendor keep JAVA_ARGS in /etc/sysconfig. */
async function withDefaultsFile(root: string, places: PuppetPlaces): Promise<PuppetPlaces> {
  const sysconfig = "/etc/sysconfig/puppetserver";
  if (!(await exists(join(root, sysconfig)))) return places;
  return { ...places, puppetserver: { ...places.puppetserver, defaultsFile: sysconfig } };
}

async function ask(
  root: string,
  argv: readonly string[],
): Promise<Pick<RunResult, "ok" | "stdout" | "stderr">> {
  const [program, ...rest] = argv;
  return tryRun([join(root, program ?? ""), ...rest], { withinMs: ASK_MS }).catch(
    (error: unknown) => ({ ok: false, stdout: "", stderr: messageOf(error) }),
  );
}

function versionIn(text: string): string | undefined {
  return /\d+\.\d+\.\d+\S*/.exec(text)?.[0];
}

/** Who the unit runs as; empty where systemd isn't there to ask. */
async function unitOwner(unit: string, root: string): Promise<{ user?: string; group?: string }> {
  if (root !== "/") return {};
  const shown = await showUnit(unit, ["User", "Group"]).catch(() => undefined);
  const user = shown?.["User"];
  if (user === undefined || user === "") return {};
  const group = shown?.["Group"];
  return { user, group: group === undefined || group === "" ? user : group };
}
