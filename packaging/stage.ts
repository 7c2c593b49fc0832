// The tree that dpkg-deb packs: everything the package installs, with its control files.
// The idea: each file gets its mode and time here, so the package is the same wherever it is built.

import { createHash } from "node:crypto";
import { chmod, copyFile, cp, mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { constants, type Dirent } from "node:fs";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { Fault } from "../src/base/fault.ts";
import { exists } from "../src/host/files.ts";
import { run, tryRun } from "../src/host/process.ts";
import { buildDashboard } from "../web/build.ts";
import {
  copyPackages,
  readBundledPackages,
  readLicence,
  readProductionPackages,
} from "./closure.ts";
import { renderChangelog, renderControl, renderCopyright, renderMd5sums } from "./control.ts";
import { NODE_BINARY, TOP } from "./inputs.ts";
import { collectHelp, type HelpText, renderManual } from "./manual.ts";

export interface Release {
  version: string;
  architecture: string;
  description: string;
  /** Seconds since 1970, on every file. */
  epoch: number;
}

const HERE = import.meta.dirname;
const LIB = "usr/lib/understudy";
const DOC = "usr/share/doc/understudy";
const COMPILE_MS_MAX = 120_000;
const PROGRAMS = new Set([`${LIB}/node`, "usr/bin/understudy"]);
const MAINTAINER_SCRIPTS = new Set(["DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm"]);

/**
 * Fills `root` with the package's content. Throws Fault `package.not-compiled`, `.no-node`,
 * `.not-installed`.
 */
export async function stagePackage(root: string, release: Release): Promise<void> {
  const put = async (path: string, content: string | Buffer) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  };
  await compile(join(root, LIB, "js"));
  await copyNode(join(root, LIB, "node"));
  await buildDashboard(join(root, LIB, "dashboard"));
  const packages = await readProductionPackages();
  await copyPackages(packages, join(root, LIB));
  const { version, description, epoch } = release;
  await put(`${LIB}/package.json`, `${JSON.stringify(manifest(release), undefined, 2)}\n`);
  await copyFixedFiles(root);

  const shipped = [...packages, ...(await readBundledPackages())];
  const licences = shipped.map(async (one) => ({ one, text: await readLicence(one) }));
  const nodeVersion = (await run([NODE_BINARY, "--version"])).trim();
  await put(`${DOC}/copyright`, renderCopyright(nodeVersion, await Promise.all(licences)));
  await put(`${DOC}/changelog.gz`, zip(renderChangelog(version, epoch)));
  const help = await readHelp(root);
  const manual = renderManual({ version, description, epoch, help });
  await put("usr/share/man/man8/understudy.8.gz", zip(manual));
  const completion = await readCompletion(root, help);
  if (completion !== undefined) {
    await put("usr/share/bash-completion/completions/understudy", completion);
  }

  const { sums, bytes } = await measure(root);
  const installedKib = Math.ceil(bytes / 1024);
  await put("DEBIAN/control", renderControl({ ...release, installedKib }));
  await put("DEBIAN/md5sums", renderMd5sums(sums));
  await settle(root, epoch);
}

async function compile(target: string): Promise<void> {
  const tsc = join(TOP, "node_modules", "typescript", "bin", "tsc");
  const result = await tryRun(
    [NODE_BINARY, tsc, "-p", join(TOP, "tsconfig.build.json"), "--outDir", target],
    { withinMs: COMPILE_MS_MAX, cwd: TOP },
  );
  if (result.ok) return;
  throw new Fault("package.not-compiled", "the sources don't compile", {
    hints: (result.stdout + result.stderr).trim().split("\n").slice(0, 20),
  });
}

async function copyNode(target: string): Promise<void> {
  if (!(await exists(NODE_BINARY))) {
    throw new Fault("package.no-node", `${relative(TOP, NODE_BINARY)} is missing`, {
      hints: [
        "npm install installs it; its install script must be allowed (package.json: allowScripts)",
      ],
    });
  }
  await mkdir(dirname(target), { recursive: true });
  await copyFile(NODE_BINARY, target, constants.COPYFILE_FICLONE);
}

/** What Node.js and the program itself read: module type and version. */
function manifest({ version, description }: Release): Record<string, unknown> {
  return { name: "understudy", version, description, license: "Apache-2.0", type: "module" };
}

async function copyFixedFiles(root: string): Promise<void> {
  const fixed = [
    ["files/understudy", "usr/bin/understudy"],
    ["files/sysusers.conf", "usr/lib/sysusers.d/understudy.conf"],
    ["files/tmpfiles.conf", "usr/lib/tmpfiles.d/understudy.conf"],
    ["files/README.Debian", `${DOC}/README.Debian`],
    ["files/alerts.yml", `${DOC}/alerts.yml`],
    ["files/grafana.json", `${DOC}/grafana.json`],
    ["maintainer", "DEBIAN"],
    ["files/puppetserver.conf", "lib/systemd/system/puppetserver.service.d/50-understudy.conf"],
    ["files/preset.conf", "lib/systemd/system-preset/50-understudy.preset"],
    ["units", "lib/systemd/system"],
  ] as const;
  for (const [from, to] of fixed) {
    await mkdir(dirname(join(root, to)), { recursive: true });
    await cp(join(HERE, from), join(root, to), { recursive: true });
  }
  // Every page of the handbook; decisions are for developers.
  for (const name of await readdir(join(TOP, "docs"))) {
    if (name.endsWith(".md")) await cp(join(TOP, "docs", name), join(root, DOC, name));
  }
}

/** The help of every command; none while there is no main program to ask. */
async function readHelp(root: string): Promise<HelpText[]> {
  const main = join(root, LIB, "js", "main.js");
  if (!(await exists(main))) return [];
  return collectHelp(async (words) => run([NODE_BINARY, main, ...words, "--help"]));
}

async function readCompletion(root: string, help: HelpText[]): Promise<string | undefined> {
  if (!help.some(({ words }) => words.join(" ") === "completion")) return undefined;
  return run([NODE_BINARY, join(root, LIB, "js", "main.js"), "completion", "bash"]);
}

function zip(text: string): Buffer {
  // zlib writes no time and no name into the header, so equal text gives equal bytes.
  return gzipSync(text, { level: 9 });
}

async function measure(root: string): Promise<{ sums: [string, string][]; bytes: number }> {
  const sums: [string, string][] = [];
  let bytes = 0;
  for (const one of await list(root)) {
    const path = relative(root, join(one.parentPath, one.name));
    if (!one.isFile() || path.startsWith("DEBIAN/")) continue;
    const content = await readFile(join(root, path));
    bytes += content.length;
    sums.push([path, createHash("md5").update(content).digest("hex")]);
  }
  return { sums, bytes };
}

/**
 * Gives everything its mode and time. Folders last, deepest first, as a change inside touches them.
 */
async function settle(root: string, epoch: number): Promise<void> {
  const entries = await list(root);
  const paths = entries.map((one) => ({ one, path: join(one.parentPath, one.name) }));
  for (const { one, path } of paths.sort((a, b) => b.path.length - a.path.length)) {
    const name = relative(root, path);
    const runs = one.isDirectory() || PROGRAMS.has(name) || MAINTAINER_SCRIPTS.has(name);
    await chmod(path, runs ? 0o755 : 0o644);
    await utimes(path, epoch, epoch);
  }
  await chmod(root, 0o755);
  await utimes(root, epoch, epoch);
}

async function list(root: string): Promise<Dirent[]> {
  return readdir(root, { recursive: true, withFileTypes: true });
}
