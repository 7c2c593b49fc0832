// What this server is: name, memory, disk, the versions of the programs we steer. Read once at
// preflight and shown in status; nothing here changes the server but a scratch file for the disk.

import { open, rm } from "node:fs/promises";
import { hostname, totalmem } from "node:os";
import { join } from "node:path";
import { monotonicMs } from "./clock.ts";
import { run, tryRun } from "./process.ts";

const ASK_MS = 10_000;
const FSYNC_WRITES = 15;
const FSYNC_BYTES = 4096;
/** One name for all: what a measurement that was killed left is the next one's to delete. */
const FSYNC_FILE = ".understudy-fsync.tmp";

export interface HostFacts {
  /** Fully qualified where the system knows it, else the short name. */
  name: string;
  memoryMiB: number;
  versions: Record<Program, string | undefined>;
}

export type Program = "haproxy" | "keepalived" | "etcd" | "openssl" | "systemd";

/** How each program says its version, and where in that text it stands. */
const VERSION_OF: Record<Program, { argv: string[]; pattern: RegExp }> = {
  haproxy: { argv: ["haproxy", "-v"], pattern: /version (\d+\.\d+[.\d]*)/ },
  keepalived: { argv: ["keepalived", "--version"], pattern: /Keepalived v(\d+\.\d+[.\d]*)/ },
  etcd: { argv: ["etcd", "--version"], pattern: /etcd Version: (\d+\.\d+[.\d]*)/ },
  openssl: { argv: ["openssl", "version"], pattern: /OpenSSL (\d+\.\d+[.\d]*)/ },
  systemd: { argv: ["systemctl", "--version"], pattern: /systemd (\d+)/ },
};

/** Name, memory and versions; a program that isn't there has an undefined version. */
export async function readFacts(): Promise<HostFacts> {
  const programs = Object.keys(VERSION_OF) as Program[];
  const versions = await Promise.all(programs.map(readVersion));
  return {
    name: await readFqdn(),
    memoryMiB: memoryOfHost(),
    versions: Object.fromEntries(
      programs.map((program, index) => [program, versions[index]]),
    ) as HostFacts["versions"],
  };
}

/** This server's memory in MiB. */
export function memoryOfHost(): number {
  return Math.floor(totalmem() / 1024 / 1024);
}

/** The version of `program`, or undefined when it isn't installed. */
export async function readVersion(program: Program): Promise<string | undefined> {
  const { argv, pattern } = VERSION_OF[program];
  const path = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const result = await tryRun(argv, {
    withinMs: ASK_MS,
    env: { ...process.env, PATH: path },
  }).catch(() => undefined);
  if (result === undefined) return undefined;
  return pattern.exec(result.stdout + result.stderr)?.[1];
}

/**
 * The fully qualified name (hostname --fqdn), lower case; the short name when it can't be resolved.
 */
export async function readFqdn(): Promise<string> {
  const long = await run(["hostname", "--fqdn"], { withinMs: ASK_MS }).catch(() => "");
  const name = long.trim();
  return (name === "" || name === "localhost" ? hostname() : name).toLowerCase();
}

/**
 * Median milliseconds of a 4 KiB write with fsync in `folder`. Throws what the file system throws.
 */
export async function measureFsync(folder: string): Promise<number> {
  const path = join(folder, FSYNC_FILE);
  const block = Buffer.alloc(FSYNC_BYTES, 1);
  const took: number[] = [];
  const file = await open(path, "w", 0o600);
  try {
    for (let index = 0; index < FSYNC_WRITES; index += 1) {
      const start = monotonicMs();
      await file.write(block, 0, block.length, index * FSYNC_BYTES);
      await file.sync();
      took.push(monotonicMs() - start);
    }
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  return median(took);
}

/** The middle of `values`, the lower one of two; 0 of none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
