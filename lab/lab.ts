// Real Debian servers on this machine, for scenarios:
//
//   const lab = await openLab({ hosts: ["s1", "s2", "a1"] });      // lab.busy if there is one
//   const s1 = lab.host("s1");                                     // see host.ts for all it can do
//   await s1.installDeb(deb); const { code, stdout } = await s1.exec("understudy status --json");
//   await s1.powerCut(); await s1.boot(); await s1.cutLink({ direction: "out" }); await s1.heal();
//   await lab.down();                                              // nothing is left
//
// Hosts s1…s9 have 10.88.0.11…19, a1…a9 10.88.0.21…29; 10.88.0.10 is puppet.lab.test on all.
// UNDERSTUDY_LAB_NAME=x in the environment means a second lab beside the usual one, wholly apart.

import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { Fault } from "../src/base/fault.ts";
import { ensureBase } from "./base.ts";
import { listGroups, removeParentGroup } from "./cgroups.ts";
import { type ExecOptions, type ExecResult, runToEnd, start } from "./exec.ts";
import type { Running } from "./exec.ts";
import { LabHost, type LabPlace } from "./host.ts";
import { hostsFolder, labFolder, PREFIX } from "./instance.ts";
import { createDisk, destroy, hostFolder, powerOn } from "./machine.ts";
import { inNs, listNamespaces, makeSwitch, removeNamespace } from "./network.ts";
import { addressOf, namespaceOf, SWITCH_NS } from "./plan.ts";
import { isAlive } from "./process-tree.ts";
import { forgetLab, listHosts, lockLab, readLab, selfAsOwner, writeLab } from "./state.ts";
import type { LabRecord, Unlock } from "./state.ts";

export interface LabOptions {
  /** Hosts to boot, all at once. */
  hosts: readonly string[];
  /** Whether the lab stays up when this process ends (`npm run lab -- up`). Default false. */
  kept?: boolean;
  /** Gets lines for people. Default: standard error. */
  say?: (line: string) => void;
}

/**
 * Boots a lab. Leftovers of a dead owner are cleared first; a lab that is in use, or was left up on
 * purpose, is Fault `lab.busy`. The base system is built when it isn't there (a minute or two).
 */
export async function openLab(options: LabOptions): Promise<Lab> {
  options.hosts.forEach(addressOf);
  refuseUnlessRoot();
  const say = options.say ?? ((line: string) => process.stderr.write(`lab: ${line}\n`));
  const unlock = await lockLab();
  try {
    await refuseKeptLab();
    await clear(say);
    const folder = labFolder();
    const base = await ensureBase(folder, say);
    const kept = options.kept ?? false;
    await writeLab({ owner: selfAsOwner(), kept, folder, base });
    const lab = new Lab({ folder, base }, kept ? unlock : downOnSignals(unlock));
    try {
      await makeSwitch();
      await lab.add(...options.hosts);
    } catch (error) {
      await clear(say);
      throw error;
    }
    return lab;
  } catch (error) {
    await unlock();
    throw error;
  }
}

/**
 * The lab that is there, whoever owns it, for commands that look or act on single hosts. Fault
 * `lab.none`.
 */
export async function attachLab(): Promise<Lab> {
  const record = await readLab();
  if (record !== undefined) return new Lab(record, async () => undefined);
  throw new Fault("lab.none", "no lab is up", { hints: ["npm run lab -- up s1 s2 s3 a1"] });
}

/**
 * Ends the lab that was left up, or what a dead owner left behind. Fault `lab.busy` when it is in
 * use.
 */
export async function takeLabDown(say: (line: string) => void): Promise<void> {
  refuseUnlessRoot();
  const unlock = await lockLab();
  try {
    await clear(say);
  } finally {
    await unlock();
  }
}

/** Whether the owner of a lab still runs. */
export function ownerRuns(record: LabRecord): boolean {
  return isAlive(record.owner);
}

export class Lab {
  readonly #place: LabPlace;
  readonly #unlock: Unlock;
  readonly #hosts = new Map<string, LabHost>();

  constructor(place: LabPlace, unlock: Unlock) {
    this.#place = place;
    this.#unlock = unlock;
  }

  /** A host by name, running or not. */
  host(name: string): LabHost {
    const known = this.#hosts.get(name);
    if (known !== undefined) return known;
    if (!existsSync(hostFolder(this.#place.folder, name))) {
      throw new Fault("lab.no-host", `this lab has no host ${name}`);
    }
    const host = new LabHost(name, this.#place);
    this.#hosts.set(name, host);
    return host;
  }

  /** Names of the hosts that were added, running or not. */
  async names(): Promise<string[]> {
    return (await readdir(hostsFolder(this.#place.folder))).sort();
  }

  /** Creates and boots further hosts, all at once. */
  async add(...names: string[]): Promise<void> {
    const { folder, base } = this.#place;
    const boot = async (name: string) => {
      await createDisk(folder, name);
      await powerOn(folder, base, name);
    };
    const outcomes = await Promise.allSettled(names.map(boot));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /**
   * Runs a program of this machine in the network of `host`, or as 10.88.0.1 at the switch when
   * there is none given: clients from outside, probers.
   */
  async fromNetwork(
    argv: readonly string[],
    options: ExecOptions & { host?: string } = {},
  ): Promise<ExecResult> {
    return runToEnd(inNs(networkOf(options.host), argv), options);
  }

  /** Like fromNetwork, for what runs until it is killed. */
  startFromNetwork(
    argv: readonly string[],
    options: ExecOptions & { host?: string } = {},
  ): Running {
    return start(inNs(networkOf(options.host), argv), options);
  }

  /** Leaves the lab up and lets go of it (for `up` and `--keep`). */
  async leaveUp(): Promise<void> {
    const record = await readLab();
    if (record !== undefined) await writeLab({ ...record, kept: true });
    await this.#unlock();
  }

  /** Ends all hosts and removes everything of the lab from the machine, except the base. */
  async down(): Promise<void> {
    await clear(() => undefined);
    await this.#unlock();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}

/**
 * Takes the lab down when this process is told to end. Returns an unlock that ends the watch as
 * well.
 */
function downOnSignals(unlock: Unlock): Unlock {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const forget = () => signals.forEach((signal) => process.off(signal, onSignal));
  const onSignal = (signal: NodeJS.Signals) => {
    forget();
    const end = () => process.kill(process.pid, signal);
    clear(() => undefined).then(end, end);
  };
  signals.forEach((signal) => process.on(signal, onSignal));
  return async () => {
    forget();
    await unlock();
  };
}

function networkOf(host: string | undefined): string {
  return host === undefined ? SWITCH_NS : namespaceOf(host);
}

function refuseUnlessRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Fault("lab.not-root", "lab servers need root: namespaces, mounts and systemd-nspawn");
}

/** Throws Fault `lab.busy` where a lab was left up on purpose. */
export async function refuseKeptLab(): Promise<void> {
  const record = await readLab();
  if (record === undefined || !record.kept) return;
  const { command, since } = record.owner;
  throw new Fault("lab.busy", `a lab was left up on purpose since ${since} (${command})`, {
    hints: ["Take it down first: npm run lab -- down"],
  });
}

/**
 * Removes every trace of a lab: by record, and by the names that only we use. The lock must be
 * held.
 */
async function clear(say: (line: string) => void): Promise<void> {
  const folder = (await readLab())?.folder ?? labFolder();
  const namespaces = (await listNamespaces()).filter((name) => name !== SWITCH_NS);
  const fromNamespaces = namespaces.map((name) => name.slice(PREFIX.length + 1));
  const fromDisks = await readdir(hostsFolder(folder)).catch(() => []);
  const names = new Set([...(await listHosts()), ...listGroups(), ...fromNamespaces, ...fromDisks]);
  if (names.size > 0) say(`clearing ${[...names].sort().join(", ")}`);
  await Promise.all([...names].map((name) => destroy(folder, name)));
  await removeNamespace(SWITCH_NS);
  await removeParentGroup();
  await rm(hostsFolder(folder), { recursive: true, force: true });
  await forgetLab();
}
