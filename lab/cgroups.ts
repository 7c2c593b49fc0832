// A control group for each lab host. Systemd in a host needs one to itself (two in one group would
// end each other's services), and it lets the lab end everything of a host in one write.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { until } from "../src/base/retry.ts";
import { GROUP } from "./instance.ts";

const GONE_MS_MAX = 20_000;

/**
 * Where systemd keeps services: the unified hierarchy, and beside it "name=systemd" on hybrid
 * machines.
 */
export function parseHierarchies(mounts: string): string[] {
  const found: string[] = [];
  for (const line of mounts.split("\n")) {
    const [, path = "", type = "", options = ""] = line.split(" ");
    const ofSystemd = type === "cgroup" && options.split(",").includes("name=systemd");
    if (type === "cgroup2" || ofSystemd) found.push(path);
  }
  return found;
}

function hierarchies(): string[] {
  return parseHierarchies(readFileSync("/proc/mounts", "utf8"));
}

/**
 * Makes the groups of `host` and returns their cgroup.procs files: writing a pid there moves it in.
 */
export async function makeGroups(host: string): Promise<string[]> {
  const groups = hierarchies().map((top) => join(top, GROUP, host));
  for (const group of groups) await mkdir(group, { recursive: true });
  return groups.map((group) => join(group, "cgroup.procs"));
}

/** Hosts that have a group, whether anything runs in it or not. */
export function listGroups(): string[] {
  const names = hierarchies()
    .map((top) => join(top, GROUP))
    .filter((folder) => existsSync(folder))
    .flatMap(foldersIn);
  return [...new Set(names)];
}

/** SIGKILLs everything in the group of `host`. Returns at once. */
export async function killGroup(host: string): Promise<void> {
  for (const top of hierarchies()) {
    const file = join(top, GROUP, host, "cgroup.kill");
    if (existsSync(file)) await writeFile(file, "1");
  }
}

/**
 * Ends everything in the groups of `host` and removes them. It kills again and again: a process
 * that was being started may only now have moved in.
 */
export async function endGroups(host: string): Promise<void> {
  for (const top of hierarchies()) {
    const group = join(top, GROUP, host);
    const isGone = async () => {
      await killGroup(host);
      return removeTree(group);
    };
    await until(`end of everything in ${group}`, isGone, {
      withinMs: GONE_MS_MAX,
      everyMs: 20,
    });
  }
}

/** Removes the folder that holds all our groups. They must be gone. */
export async function removeParentGroup(): Promise<void> {
  for (const top of hierarchies()) await removeTree(join(top, GROUP));
}

/** Removes a group and those below it; false while a process is in one of them. */
async function removeTree(group: string): Promise<boolean> {
  if (!existsSync(group)) return true;
  try {
    for (const name of foldersIn(group)) {
      if (!(await removeTree(join(group, name)))) return false;
    }
    await rmdir(group);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return false;
    throw error;
  }
}

function foldersIn(path: string): string[] {
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}
