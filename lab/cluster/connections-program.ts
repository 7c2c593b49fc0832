// Started by connections.ts in the network of an agents' host: prints, whenever it changes, which
// agents have an open TCP connection to one address. Lines: "MS-SINCE-EPOCH AGENT AGENT …".
// Arguments: address, port, milliseconds between looks.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import { openSockets, readAgentName } from "./connections-parse.ts";

const [address = "", port = "", everyMs = ""] = process.argv.slice(2);
/** Name of the agent that has a socket, by the socket's inode. */
const owners = new Map<string, string>();
/** The agent that a process belongs to ("" for others), and when it was first seen. */
const processes = new Map<string, { agent: string; seenMs: number }>();
/** Until then a process may still become an agent by executing its program. */
const YOUNG_MS = 5000;
let last: string | undefined;
const starter = process.ppid;

setInterval(look, Number(everyMs));
look();

function look(): void {
  // It writes too seldom to notice by that.
  if (process.ppid !== starter) process.exit();
  const at = wallMs();
  const open = openSockets(readFileSync("/proc/net/tcp", "utf8"), address, Number(port));
  if (open.some((inode) => !owners.has(inode))) learnOwners(open);
  for (const inode of owners.keys()) if (!open.includes(inode)) owners.delete(inode);
  const names = new Set(open.map((inode) => owners.get(inode) ?? ""));
  names.delete("");
  const line = [...names].sort().join(" ");
  if (line === last) return;
  last = line;
  process.stdout.write(`${at} ${line}\n`);
}

function learnOwners(open: readonly string[]): void {
  for (const inode of open) if (!owners.has(inode)) owners.set(inode, "");
  const running = new Set(readdirSync("/proc").filter((name) => /^\d+$/.test(name)));
  for (const pid of processes.keys()) if (!running.has(pid)) processes.delete(pid);
  for (const pid of running) {
    const agent = agentOf(pid);
    if (agent === "") continue;
    for (const inode of socketsOf(pid)) if (owners.has(inode)) owners.set(inode, agent);
  }
}

function agentOf(pid: string): string {
  const known = processes.get(pid);
  const seenMs = known?.seenMs ?? monotonicMs();
  if (known !== undefined && (known.agent !== "" || monotonicMs() - seenMs > YOUNG_MS)) {
    return known.agent;
  }
  const agent = readEnviron(pid);
  processes.set(pid, { agent, seenMs });
  return agent;
}

function readEnviron(pid: string): string {
  try {
    return readAgentName(readFileSync(`/proc/${pid}/environ`, "utf8"));
  } catch {
    return "";
  }
}

function socketsOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`)) ?? [];
      return inode === undefined ? [] : [inode];
    });
  } catch {
    return [];
  }
}
