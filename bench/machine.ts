// The machine that figures were measured on, and the versions of what was measured.

import { readFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import type { LabHost } from "../lab/host.ts";

const PACKAGES = ["puppetserver", "puppet-agent", "haproxy", "keepalived", "etcd-server"];

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  /** The Debian packages of a lab server. */
  versions: Record<string, string>;
}

/** Describes this machine; `server` is a lab server that tells the versions. */
export async function describeMachine(server: LabHost): Promise<Machine> {
  const listing = await server.run([
    "dpkg-query",
    "-W",
    "-f",
    "${Package} ${Version}\\n",
    ...PACKAGES,
  ]);
  return {
    cpu: parseCpu(await readFile("/proc/cpuinfo", "utf8")),
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    versions: parseVersions(listing),
  };
}

/** The model's name in /proc/cpuinfo, or "unknown". */
export function parseCpu(cpuinfo: string): string {
  return /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim() ?? "unknown";
}

/** Lines "PACKAGE VERSION". */
export function parseVersions(listing: string): Record<string, string> {
  return Object.fromEntries(
    [...listing.matchAll(/^(\S+) (\S+)$/gm)].map(([, name = "", version = ""]) => [name, version]),
  );
}
