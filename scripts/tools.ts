// Real HAProxy, etcd, keepalived and promtool for unit tests, without root and without a service:
// Debian's own packages are downloaded with apt and unpacked below .cache/tools/root.
// Danger: their libraries come from there too, so programs must be started with toolEnv().

import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Fault, renderFault } from "../src/base/fault.ts";
import { run, tryRun } from "../src/host/process.ts";

const CACHE = join(import.meta.dirname, "..", ".cache", "tools");
const ROOT = join(CACHE, "root");
const STAMP = join(ROOT, "packages");
const DOWNLOAD_MS_MAX = 300_000;

/** The Debian package of each program that unit tests start. */
const PACKAGE_OF = {
  haproxy: "haproxy",
  etcd: "etcd-server",
  etcdctl: "etcd-client",
  keepalived: "keepalived",
  openssl: "openssl",
  // It checks rules, queries and what /metrics answers.
  promtool: "prometheus",
} as const;

export type ToolName = keyof typeof PACKAGE_OF;

/**
 * The path of a program: the machine's own if installed, else the unpacked one. Throws Fault
 * `scripts.no-tool`.
 */
export function toolPath(name: ToolName): string {
  const found = findTool(name);
  if (found !== undefined) return found;
  throw new Fault("scripts.no-tool", `${name} is neither installed nor unpacked`, {
    hints: ["npm run ok fetches it, or: node_modules/.bin/node scripts/tools.ts"],
  });
}

/**
 * The environment to start these programs in: ours, with the unpacked libraries where they are
 * needed.
 */
export function toolEnv(): NodeJS.ProcessEnv {
  const folders = [join(ROOT, "usr", "lib"), join(ROOT, "lib")].flatMap(libraryFolders);
  if (folders.length === 0) return process.env;
  return { ...process.env, LD_LIBRARY_PATH: folders.join(delimiter) };
}

/** Fetches what is missing, from Debian's archive through apt. Says so with `say`. */
export async function ensureTools(say: (line: string) => void): Promise<void> {
  const missing = names().filter((name) => findTool(name) === undefined);
  if (missing.length === 0) return;
  await refuseUnlessDebian(missing);
  const wanted = names()
    .filter((name) => findIn(machineFolders(), name) === undefined)
    .map((name) => PACKAGE_OF[name]);
  say(`fetching ${wanted.join(", ")} for unit tests (unpacked below .cache, not installed)`);
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, "fetch-"));
  try {
    await fetchInto(work, wanted);
    await rm(ROOT, { recursive: true, force: true });
    await rename(join(work, "root"), ROOT);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  names().forEach(toolPath);
}

function names(): ToolName[] {
  return Object.keys(PACKAGE_OF) as ToolName[];
}

function findTool(name: ToolName): string | undefined {
  const unpacked = existsSync(STAMP) ? [join(ROOT, "usr/sbin"), join(ROOT, "usr/bin")] : [];
  return findIn([...machineFolders(), ...unpacked], name);
}

function machineFolders(): string[] {
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...path, "/usr/sbin", "/sbin"];
}

function findIn(folders: string[], name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where Debian has the libraries below `lib`. */
export function libraryFolders(lib: string): string[] {
  if (!existsSync(lib)) return [];
  return readdirSync(lib)
    .filter((name) => name.endsWith("-linux-gnu"))
    .map((name) => join(lib, name));
}

/** Throws Fault `scripts.no-tool` where `missing` can't be fetched. */
export async function refuseUnlessDebian(missing: string[]): Promise<void> {
  const apt = await tryRun(["apt-get", "--version"]).catch(() => undefined);
  if (apt?.ok === true) return;
  throw new Fault("scripts.no-tool", `unit tests need ${missing.join(", ")}`, {
    hints: ["This is no Debian system, so they can't be fetched: put them on the PATH."],
  });
}

/**
 * Downloads `wanted` and what this machine lacks of their dependencies, and unpacks all into
 * `work`/root.
 */
export async function fetchInto(work: string, wanted: string[]): Promise<void> {
  const debs = join(work, "debs");
  // apt's package lists may be missing, or older than the archive, which keeps no former versions.
  if ((await download([], wanted, debs)) !== undefined) {
    const because = await download(await fetchLists(work), wanted, debs);
    if (because !== undefined) {
      throw new Fault("scripts.no-tool", `apt can't fetch ${wanted.join(", ")}`, {
        hints: because.trim().split("\n").slice(-5),
      });
    }
  }
  const root = join(work, "root");
  for (const deb of readdirSync(debs)) await run(["dpkg", "-x", join(debs, deb), root]);
  await writeFile(join(root, "packages"), `${readdirSync(debs).join("\n")}\n`);
}

/** Downloads `wanted` and what it needs into a fresh folder. Returns apt's words when it can't. */
async function download(
  options: string[],
  wanted: string[],
  folder: string,
): Promise<string | undefined> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const lockless = ["-o", "Debug::NoLocking=1", "--no-install-recommends"];
  const plan = await tryRun(["apt-get", "-s", ...options, ...lockless, "install", ...wanted]);
  if (!plan.ok) return plan.stderr;
  const argv = ["apt-get", "-q", ...options, "download", ...parseSimulation(plan.stdout)];
  const fetched = await tryRun(argv, { cwd: folder, withinMs: DOWNLOAD_MS_MAX });
  return fetched.ok ? undefined : fetched.stderr;
}

/** Fetches apt's package lists: without root into `work`. Returns the options to use them. */
async function fetchLists(work: string): Promise<string[]> {
  const own = process.getuid?.() !== 0;
  const state = join(work, "state");
  const options = own ? ["-o", `Dir::State=${state}`, "-o", `Dir::Cache=${work}`] : [];
  if (own) {
    await mkdir(join(state, "lists", "partial"), { recursive: true });
    options.push("-o", "Dir::State::status=/var/lib/dpkg/status");
  }
  await run(["apt-get", "-q", ...options, "update"], { withinMs: DOWNLOAD_MS_MAX });
  return options;
}

/** Names of the packages in the "Inst" lines of `apt-get -s install`. */
export function parseSimulation(text: string): string[] {
  return [...text.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? "");
}

if (import.meta.main) {
  try {
    await ensureTools(console.log);
    if (existsSync(STAMP)) process.stdout.write(readFileSync(STAMP, "utf8"));
  } catch (error) {
    console.error(renderFault(error));
    process.exitCode = 1;
  }
}
