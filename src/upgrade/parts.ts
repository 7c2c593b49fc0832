// What can be upgraded, and what has to be restarted for it. A closed list: a package that isn't in
// it is only ever upgraded as what one of these needs.

import { UNITS } from "../host/paths.ts";

export const PARTS = [
  "puppetserver",
  "haproxy",
  "etcd",
  "keepalived",
  "puppetdb",
  "understudy",
] as const;
export type Part = (typeof PARTS)[number];

interface PackageFacts {
  part: Part;
  /** What runs it, unless the package restarts that itself. */
  units: readonly string[];
}

const PUPPETSERVER = "puppetserver.service";
const PUPPETDB = "puppetdb.service";

/** By the package's name, in Debian and in both vendors' archives. */
export const PACKAGES: Readonly<Record<string, PackageFacts>> = {
  puppetserver: { part: "puppetserver", units: [PUPPETSERVER] },
  "openvox-server": { part: "puppetserver", units: [PUPPETSERVER] },
  haproxy: { part: "haproxy", units: [UNITS.edge] },
  "etcd-server": { part: "etcd", units: [UNITS.etcd] },
  "etcd-client": { part: "etcd", units: [] },
  keepalived: { part: "keepalived", units: [UNITS.vip] },
  puppetdb: { part: "puppetdb", units: [PUPPETDB] },
  openvoxdb: { part: "puppetdb", units: [PUPPETDB] },
  // Loaded by puppetserver.
  "puppetdb-termini": { part: "puppetdb", units: [PUPPETSERVER] },
  "openvoxdb-termini": { part: "puppetdb", units: [PUPPETSERVER] },
  "puppet-terminus-puppetdb": { part: "puppetdb", units: [PUPPETSERVER] },
  // Its own scripts restart the daemon, the courier and the file server.
  understudy: { part: "understudy", units: [] },
};

/** What takes the virtual IP with it when it restarts. */
const MOVES: ReadonlySet<string> = new Set(["haproxy", "keepalived"]);

export function packagesOf(parts: readonly string[]): string[] {
  return Object.keys(PACKAGES).filter((name) => parts.includes(PACKAGES[name]?.part ?? ""));
}

/** Units to restart for these packages, each once; etcd first: the others ask it. */
export function unitsOf(names: readonly string[]): string[] {
  const units = new Set(names.flatMap((name) => PACKAGES[name]?.units ?? []));
  const order = [UNITS.etcd, UNITS.vip, UNITS.edge, PUPPETDB, PUPPETSERVER];
  return order.filter((unit) => units.has(unit));
}

export function movesAddresses(names: readonly string[]): boolean {
  return names.some((name) => MOVES.has(name));
}

export function restartsPuppetserver(names: readonly string[]): boolean {
  return unitsOf(names).includes(PUPPETSERVER);
}
