// What a package is made from, and whether that changed since the last one was built. Danger: a
// file that goes into the package but not into the fingerprint leaves an old package in use.

import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { tryRun } from "../src/host/process.ts";

export const TOP = join(import.meta.dirname, "..");

/** The Node.js program that goes into the package, from the npm package `node`. */
export const NODE_BINARY = join(TOP, "node_modules", "node", "bin", "node");

/** Files and folders, from the top of the repository, that decide what the package holds. */
const INPUTS = [
  "LICENSE",
  "docs",
  "package-lock.json",
  "package.json",
  "packaging",
  "src",
  "tsconfig.build.json",
  "tsconfig.json",
  "web",
] as const;

/** A text that changes when the package would: a hash over every input's path and content. */
export async function fingerprintInputs(epoch: number): Promise<string> {
  const hash = createHash("sha256");
  hash.update(`epoch ${epoch}\n`);
  for (const path of await listInputs()) {
    hash.update(`${relative(TOP, path)}\n`);
    hash.update(
      createHash("sha256")
        .update(await readFile(path))
        .digest(),
    );
  }
  // 120 MB that only npm changes: size and time tell enough.
  const node = await stat(NODE_BINARY).catch(() => undefined);
  hash.update(`node ${node?.size ?? 0} ${node?.mtimeMs ?? 0}\n`);
  return hash.digest("hex");
}

/**
 * Seconds since 1970 that every file in the package carries: SOURCE_DATE_EPOCH if set, else the
 * time of the last commit that touched an input, else (no repository) the newest input's time.
 */
export async function sourceEpoch(): Promise<number> {
  const set = Number(process.env["SOURCE_DATE_EPOCH"]);
  if (Number.isSafeInteger(set) && set > 0) return set;
  const git = ["git", "-C", TOP, "log", "-1", "--format=%ct", "--", ...INPUTS];
  const said = await tryRun(git).catch(() => undefined);
  const committed = said?.ok === true ? Number(said.stdout.trim()) : 0;
  if (committed > 0) return committed;
  const times = await Promise.all((await listInputs()).map(async (path) => stat(path)));
  return Math.floor(Math.max(...times.map((one) => one.mtimeMs)) / 1000);
}

async function listInputs(): Promise<string[]> {
  const found: string[] = [];
  for (const input of INPUTS) {
    const path = join(TOP, input);
    const info = await stat(path).catch(() => undefined);
    if (info?.isFile() === true) found.push(path);
    if (info?.isDirectory() !== true) continue;
    const below = await readdir(path, { recursive: true, withFileTypes: true });
    for (const one of below) if (one.isFile()) found.push(join(one.parentPath, one.name));
  }
  return found.filter((path) => !path.endsWith(".test.ts") && !path.includes("/testing/")).sort();
}
