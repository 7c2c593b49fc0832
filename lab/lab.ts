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
import { Acts } from "./acts.ts";
import { ensureBase } from "./base.ts";
import { listGroups, removeParentGroup } from "./cgroups.ts";
import { COMMAND_MS_MAX, type ExecOptions, type ExecResult, start } from "./exec.ts";
import type { Running } from "./exec.ts";
import { LabHost, type LabPlace } from "./host.ts";
import { hostsFolder, labFolder, PREFIX } from "./instance.ts";
import { type Interruption, orInterrupted, watchInterruption } from "./interrupt.ts";
import { createDisk, destroy, hostFolder, powerOn } from "./machine.ts";
import { inNs, listNamespaces, makeSwitch, removeNamespace } from "./network.ts";
import { addressOf, namespaceOf, SWITCH_NS } from "./plan.ts";
import { busyFault, forgetLab, identifyOwner, listHosts, lockLab } from "./state.ts";
import { othersLab, readLab, writeLab } from "./state.ts";
import type { Unlock } from "./state.ts";

/** A second ^C also ends the programs that clearing uses: then it is begun anew. */
const CLEAR_TRIES = 3;

export interface LabOptions {
  /** Hosts to boot, all at once. */
  hosts: readonly string[];
  /** Gets lines for people. Default: standard error. */
  say?: (line: string) => void;
  /**
   * Ends the setting up: Fault `lab.interrupted`. Whoever gives it takes the lab down later, too.
   * Without it the lab heeds this process's signals itself, and lets the process end by them.
   */
  signal?: AbortSignal | undefined;
}

/**
 * Boots a lab. Leftovers of a dead owner are cleared first; a lab that is in use, or was left up on
 * purpose, is Fault `lab.busy`. The base system is built when it isn't there (a minute or two).
 */
export async function openLab(options: LabOptions): Promise<Lab> {
  options.hosts.forEach(addressOf);
  refuseUnlessRoot();
  const say = options.say ?? ((line: string) => process.stderr.write(`lab: ${line}\n`));
  if (options.signal !== undefined) {
    return setUp(options.hosts, say, options.signal, () => undefined);
  }
  const own = watchInterruption();
  try {
    const lab = await setUp(options.hosts, say, own.signal, own.forget);
    endWhenTold(lab, own);
    return lab;
  } catch (error) {
    endBy(own);
    throw error;
  }
}

async function setUp(
  hosts: readonly string[],
  say: (line: string) => void,
  signal: AbortSignal,
  onEnd: () => void,
): Promise<Lab> {
  const unlock = await lockLab();
  let lab: Lab | undefined;
  try {
    await refuseOthersLab();
    await clear(say);
    const folder = labFolder();
    const base = await ensureBase(folder, say, signal);
    await writeLab({ owner: identifyOwner(process.pid), kept: false, folder, base });
    lab = new Lab({ folder, base, acts: new Acts() }, async () => {
      onEnd();
      await unlock();
    });
    await orInterrupted(lab.begin(hosts), signal);
    return lab;
  } catch (error) {
    await (lab?.down() ?? unlock());
    // What the interruption made of the work is no news.
    throw signal.aborted ? new Fault("lab.interrupted", "interrupted") : error;
  }
}

/**
 * The lab that is there, whoever owns it, for commands that look or act on single hosts. Fault
 * `lab.none`.
 */
export async function attachLab(): Promise<Lab> {
  const record = await readLab();
  if (record !== undefined) {
    const { folder, base } = record;
    return new Lab({ folder, base, acts: new Acts() }, async () => undefined);
  }
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
    const record = await readLab();
    if (record !== undefined && othersLab(record)) throw busyFault(record);
    await clear(say);
  } finally {
    await unlock();
  }
}

export class Lab {
  readonly #place: LabPlace;
  readonly #letGo: Unlock;
  readonly #hosts = new Map<string, LabHost>();
  /** Programs of this machine that run in the lab's networks. */
  readonly #outside = new Set<Running>();
  #ended: Promise<void> | undefined;

  constructor(place: LabPlace, letGo: Unlock) {
    this.#place = place;
    this.#letGo = letGo;
  }

  /** Makes the switch and boots the first hosts. */
  async begin(names: readonly string[]): Promise<void> {
    await this.#place.acts.do(makeSwitch);
    await this.add(...names);
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
    const { folder, base, acts } = this.#place;
    const boot = async (name: string) =>
      acts.do(async (signal) => {
        await createDisk(folder, name);
        await powerOn(folder, base, name, signal);
      });
    await allDone(names.map(boot));
  }

  /**
   * Runs a program of this machine in the network of `host`, or as 10.88.0.1 at the switch when
   * there is none given: clients from outside, probers.
   */
  async fromNetwork(
    argv: readonly string[],
    options: ExecOptions & { host?: string } = {},
  ): Promise<ExecResult> {
    return this.startFromNetwork(argv, { withinMs: COMMAND_MS_MAX, ...options }).done;
  }

  /** Like fromNetwork, for what runs until it is killed, or the lab ends. */
  startFromNetwork(
    argv: readonly string[],
    options: ExecOptions & { host?: string } = {},
  ): Running {
    const running = start(inNs(networkOf(options.host), argv), options);
    this.#outside.add(running);
    const forget = () => void this.#outside.delete(running);
    running.done.then(forget, forget);
    return running;
  }

  /**
   * Leaves the lab up and lets go of it: until somebody takes it down (`up`, `--keep`), or for as
   * long as the process `owner` lives, which then is the one that uses it.
   */
  async leaveUp(owner?: number): Promise<void> {
    const record = await readLab();
    if (record !== undefined) {
      const to = owner === undefined ? { kept: true } : { owner: identifyOwner(owner) };
      await writeLab({ ...record, ...to });
    }
    await this.#letGo();
  }

  /**
   * Ends all hosts and removes everything of the lab from the machine, except the base. Whoever
   * calls it again waits for the same end.
   */
  async down(): Promise<void> {
    this.#ended ??= this.#end();
    await this.#ended;
  }

  async #end(): Promise<void> {
    try {
      await this.#place.acts.end();
      const outside = [...this.#outside];
      for (const running of outside) running.kill();
      await Promise.allSettled(outside.map(({ done }) => done));
      await clear(() => undefined);
    } finally {
      await this.#letGo();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}

/** Takes the lab down when this process is told to end, and then lets it end. */
function endWhenTold(lab: Lab, own: Interruption): void {
  const die = () => endBy(own);
  const end = () => void lab.down().then(die, die);
  if (own.signal.aborted) end();
  else own.signal.addEventListener("abort", end, { once: true });
}

/** Lets this process end by the signal that it got, if it got one. */
function endBy(own: Interruption): void {
  own.forget();
  const signal = own.by();
  if (signal !== undefined) process.kill(process.pid, signal);
}

/** Waits for all of them, and only then throws the first failure. */
async function allDone(works: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) {
    if (outcome.status === "rejected") throw outcome.reason;
  }
}

function networkOf(host: string | undefined): string {
  return host === undefined ? SWITCH_NS : namespaceOf(host);
}

function refuseUnlessRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new Fault("lab.not-root", "lab servers need root: namespaces, mounts and systemd-nspawn");
}

/** Throws Fault `lab.busy` where a lab is in use by others, or was left up on purpose. */
export async function refuseOthersLab(): Promise<void> {
  const record = await readLab();
  if (record === undefined) return;
  if (othersLab(record)) throw busyFault(record);
  if (!record.kept) return;
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
  for (let tries = 1; ; tries += 1) {
    try {
      await clearOnce(say);
      return;
    } catch (error) {
      if (tries === CLEAR_TRIES) throw error;
    }
  }
}

async function clearOnce(say: (line: string) => void): Promise<void> {
  const folder = (await readLab())?.folder ?? labFolder();
  const namespaces = (await listNamespaces()).filter((name) => name !== SWITCH_NS);
  const fromNamespaces = namespaces.map((name) => name.slice(PREFIX.length + 1));
  const fromDisks = await readdir(hostsFolder(folder)).catch(() => []);
  const names = new Set([...(await listHosts()), ...listGroups(), ...fromNamespaces, ...fromDisks]);
  if (names.size > 0) say(`clearing ${[...names].sort().join(", ")}`);
  await allDone([...names].map((name) => destroy(folder, name)));
  await removeNamespace(SWITCH_NS);
  await removeParentGroup();
  await rm(hostsFolder(folder), { recursive: true, force: true });
  await forgetLab();
}
