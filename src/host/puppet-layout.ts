// Where this server's packaging of Puppet keeps its things. Found by looking, never assumed: Debian
// has /etc/puppet and /var/lib/puppet, the vendor's packages (also OpenVox) /etc/puppetlabs and
// /opt/puppetlabs. Settings that puppet.conf may move are asked of puppet itself, once.

import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { exists } from "./files.ts";
import { tryRun } from "./process.ts";
import { showUnit } from "./systemd.ts";

const ASK_MS = 60_000;

export interface PuppetLayout {
  kind: "debian" | "vendor";
  /** The programs themselves, by absolute path. */
  puppet: string;
  puppetConf: string;
  confDir: string;
  /** Puppet's own name of this server. Undefined when puppet couldn't be asked. */
  certname: string | undefined;
  ssldir: string;
  cadir: string;
  hostcert: string;
  hostprivkey: string;
  localcacert: string;
  hostcrl: string;
  /** Value of the setting: a path (allowlist or program), "true" or "false". */
  autosign: string;
  csrAttributes: string;
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
  versions: { puppet: string | undefined; puppetserver: string | undefined };
}

/** Settings that are asked of puppet, in the section that puppetserver reads. */
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
] as const;

/**
 * Finds Puppet Server below `root` (default: this system). Throws Fault `host.no-puppetserver`.
 * Where puppet doesn't answer, the packaging's defaults stand and `versions.puppet` is undefined.
 */
export async function readPuppetLayout(root = "/"): Promise<PuppetLayout> {
  const found = await findLayout(root);
  const [printed, puppet, puppetserver, owner] = await Promise.all([
    ask(root, [found.puppet, "config", "print", "--section", "server", ...ASKED]),
    ask(root, [found.puppet, "--version"]),
    ask(root, [found.puppetserver.program, "--version"]),
    unitOwner(found.puppetserver.unit, root),
  ]);
  const layout = withSettings(found, parseConfigPrint(printed ?? ""));
  return {
    ...layout,
    puppetserver: { ...layout.puppetserver, ...owner },
    versions: { puppet: versionIn(puppet), puppetserver: versionIn(puppetserver) },
  };
}

/**
 * `layout` with what puppet printed in place of defaults. Values without an absolute path are not
 * paths and are kept out.
 */
export function withSettings(
  layout: PuppetLayout,
  printed: Readonly<Record<string, string>>,
): PuppetLayout {
  const path = (name: string, fallback: string) => {
    const value = printed[name];
    return value?.startsWith("/") === true ? value : fallback;
  };
  const certname = printed["certname"] ?? layout.certname;
  const ssldir = path("ssldir", layout.ssldir);
  const host = certname ?? "";
  return {
    ...layout,
    certname,
    ssldir,
    cadir: path("cadir", layout.cadir),
    hostcert: path("hostcert", `${ssldir}/certs/${host}.pem`),
    hostprivkey: path("hostprivkey", `${ssldir}/private_keys/${host}.pem`),
    localcacert: path("localcacert", `${ssldir}/certs/ca.pem`),
    hostcrl: path("hostcrl", `${ssldir}/crl.pem`),
    autosign: printed["autosign"] ?? layout.autosign,
    csrAttributes: path("csr_attributes", layout.csrAttributes),
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

const CANDIDATES: readonly PuppetLayout[] = [
  layoutOf("vendor", "/etc/puppetlabs/puppet", "/etc/puppetlabs/puppet/ssl", "/opt/puppetlabs/bin"),
  layoutOf("debian", "/etc/puppet", "/var/lib/puppet/ssl", "/usr/bin"),
];

function layoutOf(
  kind: PuppetLayout["kind"],
  confDir: string,
  ssldir: string,
  programs: string,
): PuppetLayout {
  const server = kind === "vendor" ? "/etc/puppetlabs/puppetserver" : "/etc/puppet/puppetserver";
  return {
    kind,
    puppet: `${programs}/puppet`,
    puppetConf: `${confDir}/puppet.conf`,
    confDir,
    certname: undefined,
    ssldir,
    cadir: `${server}/ca`,
    hostcert: "",
    hostprivkey: "",
    localcacert: `${ssldir}/certs/ca.pem`,
    hostcrl: `${ssldir}/crl.pem`,
    autosign: `${confDir}/autosign.conf`,
    csrAttributes: `${confDir}/csr_attributes.yaml`,
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
    versions: { puppet: undefined, puppetserver: undefined },
  };
}

async function findLayout(root: string): Promise<PuppetLayout> {
  const looked: string[] = [];
  for (const layout of CANDIDATES) {
    const wanted = [layout.puppet, layout.puppetserver.program, layout.puppetserver.confD];
    const there = await Promise.all(wanted.map((path) => exists(join(root, path))));
    if (there.every(Boolean)) return withDefaultsFile(root, layout);
    const missing = wanted.filter((_, index) => there[index] !== true);
    looked.push(`${layout.kind} packages: no ${missing.join(", no ")}`);
  }
  throw new Fault("host.no-puppetserver", "Puppet Server is not installed on this server", {
    hints: [...looked, "Install it first: apt install puppetserver (or openvox-server)."],
  });
}

/** RPM packages of the vendor keep JAVA_ARGS in /etc/sysconfig. */
async function withDefaultsFile(root: string, layout: PuppetLayout): Promise<PuppetLayout> {
  const sysconfig = "/etc/sysconfig/puppetserver";
  if (!(await exists(join(root, sysconfig)))) return layout;
  return { ...layout, puppetserver: { ...layout.puppetserver, defaultsFile: sysconfig } };
}

async function ask(root: string, argv: readonly string[]): Promise<string | undefined> {
  const [program, ...rest] = argv;
  const result = await tryRun([join(root, program ?? ""), ...rest], { withinMs: ASK_MS }).catch(
    () => undefined,
  );
  return result?.ok === true ? result.stdout : undefined;
}

function versionIn(text: string | undefined): string | undefined {
  return /\d+\.\d+\.\d+\S*/.exec(text ?? "")?.[0];
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
