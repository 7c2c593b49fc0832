// What puppetservers of the lab compile: a small control repository, the same on every server,
// whose catalogs can be made slow, or deadly for the JVM that compiles them, for one node at a
// time. The idea: each compile runs a script (generate() in site.pp) that looks for a flag file of
// its node.

import { dirname } from "node:path";
import type { LabHost } from "../host.ts";

const ENVIRONMENT = "/etc/puppet/code/environments/production";
const SCRIPT = "/usr/local/bin/lab-compile";
const FLAGS = "/srv/lab-compile";
/** A line "CERTNAME" for each compile that has begun on the server. */
const STARTS = "/srv/lab-compile-starts";
/** Certnames below this domain are signed as they come; all others wait for an administrator. */
export const AUTOSIGNED = "auto.lab.test";

/** How the catalogs of one node are compiled from now on. */
export type CompileMood = { is: "plain" } | { is: "slow"; seconds: number } | { is: "deadly" };

/** A compile that goes on now, found by its script. */
export interface Compile {
  certname: string;
  /** The script's process in the host. */
  script: number;
  /** The puppetserver that waits for it. */
  jvm: number;
}

export interface SiteFile {
  path: string;
  text: string;
  mode: number;
}

/**
 * The control repository: some 40 files by content, five sourced ones and 20 facts for each node.
 */
export function siteFiles(): SiteFile[] {
  const facts = Array.from({ length: 20 }, (_, index) => ({
    path: `${ENVIRONMENT}/modules/demo/lib/facter/lab_${index + 1}.rb`,
    text: `Facter.add(:lab_${index + 1}) { setcode { 'fact ${index + 1} of the lab' } }\n`,
    mode: 0o644,
  }));
  const sources = [1, 2, 3, 4, 5].map((number) => ({
    path: `${ENVIRONMENT}/modules/demo/files/sourced-${number}`,
    text: `file ${number} of the lab's module\n`.repeat(200 * number),
    mode: 0o644,
  }));
  return [
    { path: `${ENVIRONMENT}/manifests/site.pp`, text: SITE, mode: 0o644 },
    { path: `${ENVIRONMENT}/modules/demo/manifests/init.pp`, text: DEMO, mode: 0o644 },
    { path: `${ENVIRONMENT}/modules/demo/manifests/contents.pp`, text: CONTENTS, mode: 0o644 },
    { path: `${ENVIRONMENT}/modules/demo/manifests/sourced.pp`, text: SOURCED, mode: 0o644 },
    { path: SCRIPT, text: COMPILE, mode: 0o755 },
    { path: "/etc/puppet/autosign.conf", text: `*.${AUTOSIGNED}\n`, mode: 0o644 },
    ...sources,
    ...facts,
  ];
}

/** Puts the control repository and the allowlist of names to sign on a server. */
export async function writeSite(server: LabHost): Promise<void> {
  const script = [...siteFiles().map(renderWrite), `mkdir -p ${FLAGS}`, OPEN_STARTS].join("\n");
  await server.run(["bash", "-e"], { input: `${script}\n` });
}

/** Lines of shell that write a file: one visit to the host instead of one per file. */
function renderWrite({ path, text, mode }: SiteFile): string {
  const content = Buffer.from(text).toString("base64");
  const folder = dirname(path);
  return `mkdir -p ${folder}; base64 -d > ${path} <<< ${content}; chmod ${mode.toString(8)} ${path}`;
}

/** Sets how catalogs of `certname` are compiled on each of `servers` from now on. */
export async function setMood(
  servers: readonly LabHost[],
  certname: string,
  mood: CompileMood,
): Promise<void> {
  const path = `${FLAGS}/${certname}`;
  for (const server of servers) {
    if (mood.is === "plain") await server.run(["rm", "-f", path]);
    else await server.writeFile(path, renderMood(mood));
  }
}

function renderMood(mood: Exclude<CompileMood, { is: "plain" }>): string {
  return mood.is === "slow" ? `slow ${mood.seconds}\n` : "deadly\n";
}

/** How many compiles for `certname` have ever begun on a server. Zero also when it is off. */
export async function countStarts(server: LabHost, certname: string): Promise<number> {
  if (!(await server.isUp())) return 0;
  const counted = await server.exec(["grep", "-cxF", "--", certname, STARTS]);
  return Number(counted.stdout.trim());
}

/** The slow compiles that go on in a server now. Empty also when it is off. */
export async function compilesOn(server: LabHost): Promise<Compile[]> {
  if (!(await server.isUp())) return [];
  const listing = await server.exec(["ps", "-eo", "pid=,ppid=,comm=,args="]);
  return listing.ok ? parseCompiles(listing.stdout) : [];
}

/** Compiles in the output of `ps -eo pid=,ppid=,comm=,args=`. One whose JVM is gone is none. */
export function parseCompiles(listing: string): Compile[] {
  const processes = listing.split("\n").flatMap((line) => {
    const [, pid, parent, comm = "", args = ""] =
      /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), comm, args }];
  });
  const jvms = new Set(processes.filter(({ comm }) => comm === "java").map(({ pid }) => pid));
  return processes.flatMap(({ pid, parent, args }) => {
    const [, certname] = new RegExp(`^/bin/sh ${SCRIPT} (\\S+)$`).exec(args.trim()) ?? [];
    if (certname === undefined || !jvms.has(parent)) return [];
    return [{ certname, script: pid, jvm: parent }];
  });
}

const SITE = `node default {
  $compiled = generate('${SCRIPT}', $trusted['certname'])
  include demo
}
`;

const DEMO = `class demo {
  $top = "/srv/demo/\${trusted['certname']}"
  file { ['/srv/demo', $top]:
    ensure => directory,
  }
  contain demo::contents
  contain demo::sourced
}
`;

const CONTENTS = `class demo::contents {
  Integer[1, 40].each |$number| {
    file { "\${demo::top}/content-\${number}":
      content => "file \${number} of \${trusted['certname']} with \${facts['os']['family']}\\n",
    }
  }
}
`;

const SOURCED = `class demo::sourced {
  Integer[1, 5].each |$number| {
    file { "\${demo::top}/sourced-\${number}":
      source => "puppet:///modules/demo/sourced-\${number}",
    }
  }
}
`;

/** Puppetservers run as a user of their own. */
const OPEN_STARTS = `touch ${STARTS}; chmod 666 ${STARTS}`;

const COMPILE = `#!/bin/sh
# Part of every compile: takes as long as the flag file of the node says, or ends the JVM it runs for.
echo "$1" >> ${STARTS}
mood= seconds=
[ -e "${FLAGS}/$1" ] && read -r mood seconds < "${FLAGS}/$1"
case "$mood" in
  slow) sleep "$seconds" ;;
  deadly) kill -KILL "$PPID" ;;
esac
echo compiled
`;
