// The npm packages that the installed program needs, as package-lock.json records them. They are
// copied from node_modules, where npm has verified them against the lock, so building needs no
// network.

import { cp, readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { Fault } from "../src/base/fault.ts";
import { readIfThere } from "../src/host/files.ts";
import { TOP } from "./inputs.ts";

const LOCK = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      license: z.string().optional(),
      dev: z.boolean().optional(),
      devOptional: z.boolean().optional(),
      optional: z.boolean().optional(),
    }),
  ),
});

/** An npm package that is needed at run time. */
export interface NpmPackage {
  /** From the top of the repository: "node_modules/hono". */
  path: string;
  name: string;
  version: string;
  license: string;
  /** Where its code is in the package, if not at its path. */
  within?: string;
}

/** Type declarations, sources and maps: no program reads them. */
const UNUSED = /(\.ts|\.mts|\.cts|\.map|\.md)$/;
const LICENCE_FILE = /^licen[cs]e/i;

/** The packages of a package-lock.json (parsed) that aren't for development only, by path. */
export function productionPackages(lock: unknown): NpmPackage[] {
  return Object.entries(LOCK.parse(lock).packages)
    .filter(([path, entry]) => path !== "" && !entry.dev && !entry.devOptional && !entry.optional)
    .map(([path, entry]) => ({
      path,
      name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version: entry.version ?? "",
      license: entry.license ?? "",
    }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What Vite puts into the dashboard's script: parts of these are in the package too. */
export const BUNDLED = ["@preact/signals", "@preact/signals-core", "preact", "uplot"] as const;

/** Reads the repository's lock: what the installed program needs. */
export async function readProductionPackages(): Promise<NpmPackage[]> {
  return productionPackages(await readLock());
}

/** Reads the repository's lock: what is in the dashboard's script. */
export async function readBundledPackages(): Promise<NpmPackage[]> {
  const { packages } = LOCK.parse(await readLock());
  return BUNDLED.map((name) => {
    const path = `node_modules/${name}`;
    const { version = "", license = "" } = packages[path] ?? {};
    return { path, name, version, license, within: "dashboard/assets" };
  });
}

async function readLock(): Promise<unknown> {
  return JSON.parse(await readFile(join(TOP, "package-lock.json"), "utf8"));
}

/**
 * Copies `packages` below `target`. Throws Fault `package.not-installed` when one is missing or
 * another version.
 */
export async function copyPackages(packages: NpmPackage[], target: string): Promise<void> {
  for (const one of packages) {
    const from = join(TOP, one.path);
    const manifest = await readIfThere(join(from, "package.json"));
    const version = manifest === undefined ? "nothing" : versionOf(manifest);
    if (version !== one.version) {
      throw new Fault(
        "package.not-installed",
        `${one.path} holds ${version}, package-lock.json says ${one.version}`,
        { hints: ["npm install brings them together"] },
      );
    }
    await cp(from, join(target, one.path), {
      recursive: true,
      // What lies in its own node_modules has entries of its own in the lock.
      filter: (path) =>
        (path === from || basename(path) !== "node_modules") && !UNUSED.test(basename(path)),
    });
  }
}

/** The licence text that `one` brings, or undefined. */
export async function readLicence(one: NpmPackage): Promise<string | undefined> {
  const file = (await readdir(join(TOP, one.path))).find((name) => LICENCE_FILE.test(name));
  return file === undefined ? undefined : readFile(join(TOP, one.path, file), "utf8");
}

function versionOf(manifest: string): string {
  return z.object({ version: z.string() }).parse(JSON.parse(manifest)).version;
}
