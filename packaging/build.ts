// npm run package: builds dist/understudy_VERSION_ARCH.deb with tsc and dpkg-deb, from installed
// npm packages, without root or network. Does nothing when the package there is made of these very
// inputs.

import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { Fault, messageOf, renderFault } from "../src/base/fault.ts";
import { monotonicMs } from "../src/host/clock.ts";
import { readIfThere, writeFileAtomic } from "../src/host/files.ts";
import { run } from "../src/host/process.ts";
import { fingerprintInputs, sourceEpoch, TOP } from "./inputs.ts";
import { type Release, stagePackage } from "./stage.ts";

const DIST = join(TOP, "dist");
const PACK_MS_MAX = 300_000;

const HELP = `Usage: npm run package -- [OPTION]

Builds the Debian package in dist/ and prints its path. When nothing that goes into it has changed
since the last time, the package that is there is kept.

  --force   build in any case
  --help    this text
`;

const MANIFEST = z.object({ version: z.string().regex(/^\d[\w.+~]*$/), description: z.string() });

/** Debian's word for what Node.js calls the machine. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Builds the package if its inputs changed and returns its path. Several processes may do so at
 * once. Throws Fault `package.*` when it can't be built.
 */
export async function buildPackage(
  options: { force?: boolean; say?: (line: string) => void } = {},
): Promise<string> {
  const release = await readRelease();
  const path = join(DIST, `understudy_${release.version}_${release.architecture}.deb`);
  const stamp = `${path}.inputs`;
  const fingerprint = await fingerprintInputs(release.epoch);
  const built = await readIfThere(stamp);
  if (options.force !== true && built === (await stampOf(fingerprint, path))) return path;

  const startedMs = monotonicMs();
  await mkdir(DIST, { recursive: true });
  await removeLeftStages();
  const stage = await mkdtemp(join(DIST, `stage-${process.pid}-`));
  try {
    const root = join(stage, "root");
    await mkdir(root);
    await stagePackage(root, release);
    await pack(root, join(stage, "out.deb"), release.epoch);
    const mine = await stampOf(fingerprint, join(stage, "out.deb"));
    await rename(join(stage, "out.deb"), path);
    await writeFileAtomic(stamp, mine);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  options.say?.(`built in ${((monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
  return path;
}

/**
 * What a package was built from, and which file it is: another build may have put its own there
 * since.
 */
async function stampOf(fingerprint: string, path: string): Promise<string> {
  const file = await stat(path).catch(() => undefined);
  return `${fingerprint} ${file?.ino ?? 0} ${file?.size ?? 0}\n`;
}

async function readRelease(): Promise<Release> {
  const parsed = MANIFEST.safeParse(JSON.parse(await readFile(join(TOP, "package.json"), "utf8")));
  if (!parsed.success) {
    throw new Fault("package.bad-manifest", `package.json: ${z.prettifyError(parsed.error)}`);
  }
  const architecture = ARCHITECTURES[process.arch];
  if (architecture === undefined) {
    throw new Fault("package.architecture", `no package is made for ${process.arch}`, {
      hints: [`known are ${Object.keys(ARCHITECTURES).join(", ")}`],
    });
  }
  return { ...parsed.data, architecture, epoch: await sourceEpoch() };
}

async function pack(root: string, target: string, epoch: number): Promise<void> {
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  // zstd at 3 packs Node.js in a second; xz would take a minute for a quarter less.
  const argv = ["dpkg-deb", "--root-owner-group", "-Zzstd", "-z3", "--build", root, target];
  try {
    await run(argv, { env, withinMs: PACK_MS_MAX });
  } catch (error) {
    throw new Fault("package.not-packed", messageOf(error), {
      cause: error,
      hints: ["dpkg-deb 1.21.18 or later is needed: Debian 12 has it"],
    });
  }
}

/** Removes what builds left behind that were killed. */
async function removeLeftStages(): Promise<void> {
  for (const name of await readdir(DIST)) {
    const pid = Number(/^stage-(\d+)-/.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isAlive(pid)) await rm(join(DIST, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function main(): Promise<void> {
  const values = readOptions();
  if (values.help === true) {
    process.stdout.write(HELP);
    return;
  }
  const path = await buildPackage({ force: values.force === true, say: printLine });
  process.stdout.write(`${relative(process.cwd(), path)}\n`);
}

function readOptions(): { force?: boolean; help?: boolean } {
  const options = { force: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  try {
    return { ...parseArgs({ options }).values };
  } catch (error) {
    const hints = ["npm run package -- --help lists what there is"];
    throw new Fault("package.bad-option", messageOf(error), { hints, cause: error });
  }
}

function printLine(line: string): void {
  process.stderr.write(`${line}\n`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    printLine(renderFault(error));
    process.exitCode = 1;
  }
}
