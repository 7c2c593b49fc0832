// Debian's Chromium for the dashboard's tests and pictures: the machine's own if installed, else
// unpacked below .cache, apart from the other tools since it is large. It needs no root.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium, type Browser } from "playwright-core";
import { Fault } from "../src/base/fault.ts";
import { fetchInto, libraryFolders, refuseUnlessDebian } from "./tools.ts";

const CACHE = join(import.meta.dirname, "..", ".cache", "tools");
const ROOT = join(CACHE, "browser");
const UNPACKED = join(ROOT, "usr", "lib", "chromium", "chromium");
const INSTALLED = "/usr/bin/chromium";
const MACHINES_FONTS = "/etc/fonts/fonts.conf";
const FONTS = join(ROOT, "fonts.conf");
const LAUNCH_MS_MAX = 120_000;

/** Fetches it where it is missing. Says so with `say`. */
export async function ensureBrowser(say: (line: string) => void): Promise<void> {
  if (browserPath() !== undefined) return;
  await refuseUnlessDebian(["chromium"]);
  say("fetching chromium for the dashboard's tests (unpacked below .cache, not installed)");
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, "fetch-"));
  try {
    await fetchInto(work, ["chromium", "fonts-dejavu-core"]);
    await writeFile(join(work, "root", "fonts.conf"), renderFonts(join(ROOT, "usr/share/fonts")));
    await rm(ROOT, { recursive: true, force: true });
    await rename(join(work, "root"), ROOT);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

export interface BrowserOptions {
  /** A command that starts it: its first words, as of `ip netns exec`. */
  by?: readonly string[];
  /** Further options of Chromium. */
  args?: readonly string[];
}

/** Starts it without a window. Throws Fault `scripts.no-tool`. */
export async function launchBrowser({ by, args = [] }: BrowserOptions = {}): Promise<Browser> {
  const path = browserPath();
  if (path === undefined) {
    throw new Fault("scripts.no-tool", "chromium is neither installed nor unpacked", {
      hints: ["npm run ok fetches it"],
    });
  }
  // Root may not use Chromium's sandbox; what it shows here is our own page.
  const all = process.getuid?.() === 0 ? ["--no-sandbox", ...args] : [...args];
  const limited = { args: all, env: environment(path), timeout: LAUNCH_MS_MAX };
  if (by === undefined) return chromium.launch({ ...limited, executablePath: path });
  const folder = await mkdtemp(join(tmpdir(), "understudy-browser-"));
  try {
    const starter = join(folder, "start");
    await writeFile(starter, renderStarter([...by, path]), { mode: 0o755 });
    return await chromium.launch({ ...limited, executablePath: starter });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A program that does what `argv` does, with further words. */
function renderStarter(argv: readonly string[]): string {
  const words = argv.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
  return `#!/bin/sh\nexec ${words} "$@"\n`;
}

/** For a machine that has neither fonts nor a word on where they are. */
function renderFonts(folder: string): string {
  const aliases = ["sans-serif", "system-ui"].map(
    (name) =>
      `<alias><family>${name}</family><prefer><family>DejaVu Sans</family></prefer></alias>`,
  );
  return `<fontconfig><dir>${folder}</dir>${aliases.join("")}</fontconfig>\n`;
}

function browserPath(): string | undefined {
  return [INSTALLED, UNPACKED].find((path) => existsSync(path));
}

function environment(path: string): Record<string, string> {
  const known = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const env = Object.fromEntries(known);
  if (path !== UNPACKED) return env;
  const folders = [join(ROOT, "usr", "lib"), join(ROOT, "lib")].flatMap(libraryFolders);
  const all = folders.flatMap((folder) => [folder, join(folder, "pulseaudio")]);
  const fonts = existsSync(MACHINES_FONTS) ? {} : { FONTCONFIG_FILE: FONTS };
  return { ...env, LD_LIBRARY_PATH: all.join(delimiter), ...fonts };
}
