// What processes of a lab server cost: resident memory and processor time, by systemd unit. The
// idea: a lab server's processes are processes of this machine too, so /proc is read from outside.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { childrenOf } from "../lab/process-tree.ts";
import { readHost } from "../lab/state.ts";
import type { LabHost } from "../lab/host.ts";
import { Fault } from "../src/base/fault.ts";

/** Clock ticks per second that /proc counts in: fixed for programs since Linux 2.6. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Resident memory of all processes together, bytes. Pages they share count once for each. */
  residentBytes: number;
  /** Processor time since their start, milliseconds. */
  cpuMs: number;
}

/**
 * This machine's numbers of a unit's processes: its main process and all below. Fault
 * `bench.no-process`.
 */
export async function unitProcesses(host: LabHost, unit: string): Promise<number[]> {
  const inside = Number((await host.run(["systemctl", "show", "-P", "MainPID", unit])).trim());
  const init = (await readHost(host.name))?.init.pid;
  const main = init === undefined ? undefined : findByInnerPid(init, inside);
  if (main === undefined || inside === 0) {
    throw new Fault("bench.no-process", `${host.name}: ${unit} has no process`);
  }
  return withDescendants(main);
}

/** The process that is number `inside` in the PID namespace of `init`. */
function findByInnerPid(init: number, inside: number): number | undefined {
  const namespace = readlinkSync(`/proc/${init}/ns/pid`);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/ns/pid`) !== namespace) return false;
        return parseInnerPid(readFileSync(`/proc/${pid}/status`, "utf8")) === inside;
      } catch {
        return false;
      }
    });
}

function withDescendants(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(withDescendants)];
}

/** The innermost number in the NSpid line of /proc/PID/status. */
export function parseInnerPid(status: string): number | undefined {
  const numbers = /^NSpid:\s*(.+)$/m.exec(status)?.[1]?.trim().split(/\s+/);
  return numbers === undefined ? undefined : Number(numbers.at(-1));
}

/** What `pids` have used so far, together. Processes that have ended count nothing. */
export function readUsage(pids: readonly number[]): Usage {
  const total = { residentBytes: 0, cpuMs: 0 };
  for (const pid of pids) {
    try {
      total.cpuMs += parseCpuMs(readFileSync(`/proc/${pid}/stat`, "utf8"));
      total.residentBytes += parseResident(readFileSync(`/proc/${pid}/status`, "utf8"));
    } catch {
      continue;
    }
  }
  return total;
}

/**
 * User and system time in the text of /proc/PID/stat, with that of children that have ended,
 * milliseconds.
 */
export function parseCpuMs(stat: string): number {
  // The command's name, in parentheses, may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return (ticks * 1000) / TICKS_PER_SECOND;
}

/** VmRSS in the text of /proc/PID/status, bytes. */
export function parseResident(status: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}
