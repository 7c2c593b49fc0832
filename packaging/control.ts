// The package's control data and documents, as text. Pure: what they hold comes in as arguments.

import type { NpmPackage } from "./closure.ts";

export interface PackageFacts {
  version: string;
  /** Debian's word: "amd64". */
  architecture: string;
  description: string;
  /** KiB, of all files. */
  installedKib: number;
}

const MAINTAINER = "Understudy authors <understudy@understudy.invalid>";

/**
 * What must be there to run. puppetserver is not: a witness has none, and its packagings differ.
 */
const DEPENDS = [
  "etcd-client",
  "etcd-server",
  "haproxy (>= 2.6)",
  "iproute2",
  "iputils-ping",
  "keepalived (>= 1:2.2)",
  "nftables",
  "libc6 (>= 2.28)",
  "libgcc-s1",
  "libstdc++6 (>= 10)",
  "openssl",
  "passwd",
  "systemd (>= 252)",
];

/** DEBIAN/control. */
export function renderControl(facts: PackageFacts): string {
  return [
    "Package: understudy",
    `Version: ${facts.version}`,
    `Architecture: ${facts.architecture}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${facts.installedKib}`,
    `Depends: ${DEPENDS.join(", ")}`,
    "Suggests: puppetserver | openvox-server, bash-completion",
    "Section: admin",
    "Priority: optional",
    `Description: ${facts.description}`,
    " Keeps agents served when a server dies: one address, any server compiles, any",
    " server signs certificates, one shared record. Each server runs one daemon,",
    " HAProxy, keepalived and an etcd member in units of Understudy's own.",
    " .",
    ' Installing it starts and changes nothing. "understudy init" makes the first',
    ' server of a cluster, "understudy join" every further one.',
    "",
  ].join("\n");
}

/** DEBIAN/md5sums from (path from the root without slash, MD5 in hex) pairs, sorted by path. */
export function renderMd5sums(sums: readonly (readonly [string, string])[]): string {
  const sorted = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([path, sum]) => `${sum}  ${path}\n`).join("");
}

/** /usr/share/doc/understudy/changelog, with one entry. `epoch` in seconds. */
export function renderChangelog(version: string, epoch: number): string {
  return [
    `understudy (${version}) stable; urgency=medium`,
    "",
    `  * Version ${version}.`,
    "",
    ` -- ${MAINTAINER}  ${rfc2822(epoch)}`,
    "",
  ].join("\n");
}

/** /usr/share/doc/understudy/copyright: ours, Node.js's, and each npm package's with its text. */
export function renderCopyright(
  nodeVersion: string,
  packages: readonly { one: NpmPackage; text: string | undefined }[],
): string {
  const stanzas = [
    ["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"],
    [
      "Files: *",
      "Copyright: Understudy authors",
      "License: Apache-2.0",
      " On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0.",
    ],
    [
      "Files: usr/lib/understudy/node",
      "Copyright: Node.js contributors, and the authors of what Node.js includes",
      "License: Node.js",
      ` Node.js ${nodeVersion}, unchanged, as distributed by its project under the MIT licence; that`,
      " licence and those of the libraries it includes:",
      ` https://github.com/nodejs/node/blob/${nodeVersion}/LICENSE`,
    ],
    ...packages.map(({ one, text }) => [
      `Files: usr/lib/understudy/${one.within ?? one.path}/*`,
      `Copyright: ${copyrightLine(text) ?? `authors of ${one.name}`}`,
      `License: ${one.name}-${one.license}`,
      ...indent(text ?? one.license),
    ]),
  ];
  return stanzas.map((lines) => `${lines.join("\n")}\n`).join("\n");
}

function copyrightLine(text: string | undefined): string | undefined {
  return /^\s*Copyright\s+(?:\(c\)\s*)?(.+)$/im.exec(text ?? "")?.[1]?.trim();
}

/** As the value of a control field: a blank line is " .". */
function indent(text: string): string[] {
  const lines = text.trim().split(/\r?\n/);
  return lines.map((line) => (line.trim() === "" ? " ." : ` ${line.trimEnd()}`));
}

function rfc2822(epoch: number): string {
  return new Date(epoch * 1000).toUTCString().replace("GMT", "+0000");
}
