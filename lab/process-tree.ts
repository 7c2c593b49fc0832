// Processes of this machine by identity, not just by number: a pid together with its start time.
// Danger: a number alone may belong to somebody else's process by the time it is signalled.

import { readdirSync, readFileSync } from "node:fs";

/** A process that can be told from a later one with the same number. */
export interface ProcessId {
  pid: number;
  /** Field 22 of /proc/PID/stat, clock ticks since the machine's boot. */
  startTicks: number;
}

/** The identity of `pid`, or undefined when there is no such process or only its zombie. */
export function identify(pid: number): ProcessId | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return parseStat(pid, stat);
  } catch {
    return undefined;
  }
}

/** Reads a line of /proc/PID/stat. Undefined for a zombie. */
export function parseStat(pid: number, stat: string): ProcessId | undefined {
  // The second field is the command in parentheses and may hold anything, parentheses too.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const startTicks = Number(fields[19]);
  if (fields[0] === "Z" || fields[0] === "X" || !Number.isFinite(startTicks)) return undefined;
  return { pid, startTicks };
}

export function isAlive(process: ProcessId): boolean {
  return identify(process.pid)?.startTicks === process.startTicks;
}

/** Direct children of `pid`, in every thread's list. Empty when it is gone. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")
        .split(" ")
        .filter((text) => text !== "")
        .map(Number),
    );
  } catch {
    return [];
  }
}

/** The short command name of `pid`, "" when it is gone. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

/** The command line of `pid`, empty when it is gone. */
export function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

/** Sends `signal` to `pid` and everything below it, leaves first. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  for (const child of childrenOf(pid)) signalTree(child, signal);
  signalProcess(pid, signal);
}

/** Sends `signal`; a process that is gone already is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
