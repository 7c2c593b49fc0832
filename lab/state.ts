// What the lab remembers outside its processes, in STATE_FOLDER: who owns it, what hosts it has.
// The idea: a lock that the kernel drops when its holder dies, however it dies.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fault } from "../src/base/fault.ts";
import { pause } from "../src/base/retry.ts";
import { isoTime, monotonicMs, wallMs } from "../src/host/clock.ts";
import { readIfThere, writeFileAtomic } from "../src/host/files.ts";
import { STATE_FOLDER } from "./instance.ts";
import { argumentsOf, identify, isAlive } from "./process-tree.ts";

const LOCK = join(STATE_FOLDER, "lock");
const LAB_FILE = join(STATE_FOLDER, "lab.json");
const HOSTS_FOLDER = join(STATE_FOLDER, "hosts");
const RELEASE_MS_MAX = 1000;

const processId = z.object({ pid: z.number().int(), startTicks: z.number() });

const labRecord = z.object({
  owner: processId.extend({ command: z.string(), since: z.string() }),
  /** Whether the lab stays when its owner ends. */
  kept: z.boolean(),
  /** Where disks and consoles of its hosts are. */
  folder: z.string(),
  base: z.string(),
});
export type LabRecord = z.infer<typeof labRecord>;

const hostRecord = z.object({
  /** systemd-nspawn, outside the host. */
  nspawn: processId,
  /** The host's PID 1, by the machine's number. */
  init: processId,
});
export type HostRecord = z.infer<typeof hostRecord>;

/** Lets go of the lock. */
export type Unlock = () => Promise<void>;

/** Takes the lab's lock, or says who has it: Fault `lab.busy`. */
export async function lockLab(): Promise<Unlock> {
  await mkdir(STATE_FOLDER, { recursive: true, mode: 0o700 });
  const patience = monotonicMs() + RELEASE_MS_MAX;
  for (;;) {
    const unlock = await tryLock();
    if (unlock !== undefined) return unlock;
    const record = await readLab();
    const ownerRuns = record !== undefined && isAlive(record.owner);
    // A holder that was killed this instant takes a moment to let go.
    if (ownerRuns || monotonicMs() > patience) throw busyFault(record);
    await pause(20);
  }
}

async function tryLock(): Promise<Unlock | undefined> {
  // The holder is a child that lives as long as our end of its pipe.
  const hold = ["-c", "echo held; exec cat"];
  const child = spawn("flock", ["--nonblock", LOCK, "sh", ...hold], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const ended = once(child, "exit");
  const held = await Promise.race([
    once(child.stdout, "data").then(() => true),
    ended.then(() => false),
  ]);
  if (!held) return undefined;
  child.unref();
  return async () => {
    child.ref();
    child.stdin.end();
    await ended;
  };
}

/** Who has the lab. */
export function busyFault(record: LabRecord | undefined): Fault {
  if (record === undefined) return new Fault("lab.busy", "another lab is being set up or cleared");
  const { pid, command, since } = record.owner;
  return new Fault("lab.busy", `the lab is in use by pid ${pid} since ${since}: ${command}`, {
    hints: ["One machine holds one lab: wait for it, or end that process."],
  });
}

/** A process as the owner of a lab, from now on. Fault `lab.no-process`. */
export function identifyOwner(pid: number): LabRecord["owner"] {
  const id = identify(pid);
  if (id === undefined) throw new Fault("lab.no-process", `there is no process ${pid}`);
  const [, ...args] = argumentsOf(pid);
  // Node's test runner starts files with dozens of options of its own before their names.
  const script = args.findIndex((text) => !text.startsWith("-"));
  return { ...id, command: args.slice(script).join(" "), since: isoTime(wallMs()) };
}

/** Whether a lab belongs to another process that lives. */
export function othersLab({ owner }: LabRecord): boolean {
  return isAlive(owner) && owner.pid !== process.pid;
}

/**
 * The record of the lab that is there, or undefined. A damaged one counts as none: leftovers are
 * found by name.
 */
export async function readLab(): Promise<LabRecord | undefined> {
  return parseRecord(labRecord, await readIfThere(LAB_FILE));
}

export async function writeLab(record: LabRecord): Promise<void> {
  await writeFileAtomic(LAB_FILE, `${JSON.stringify(record, undefined, 2)}\n`);
}

export async function readHost(host: string): Promise<HostRecord | undefined> {
  return parseRecord(hostRecord, await readIfThere(join(HOSTS_FOLDER, `${host}.json`)));
}

export async function writeHost(host: string, record: HostRecord): Promise<void> {
  await mkdir(HOSTS_FOLDER, { recursive: true });
  await writeFileAtomic(join(HOSTS_FOLDER, `${host}.json`), `${JSON.stringify(record)}\n`);
}

export async function forgetHost(host: string): Promise<void> {
  await rm(join(HOSTS_FOLDER, `${host}.json`), { force: true });
}

/** Hosts that have a record, sorted. */
export async function listHosts(): Promise<string[]> {
  const names = await readdir(HOSTS_FOLDER).catch(() => []);
  return names
    .filter((name) => name.endsWith(".json") && !name.startsWith("."))
    .map((name) => name.slice(0, -".json".length))
    .sort();
}

/** Forgets the lab; the lock's file stays, being nothing without a holder. */
export async function forgetLab(): Promise<void> {
  await rm(LAB_FILE, { force: true });
  await rm(HOSTS_FOLDER, { recursive: true, force: true });
}

function parseRecord<T>(schema: z.ZodType<T>, text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
