// Carries out what plan.ts lists. Danger: keepalived that can't read its configuration gives every
// address up, so each new one is checked by keepalived itself before it takes the old one's place.

import { readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../base/fault.ts";
import { makeFolder, syncFolder, writeFileAtomic } from "../host/files.ts";
import { UNITS } from "../host/paths.ts";
import { tryRun } from "../host/process.ts";
import { unit } from "../host/systemd.ts";
import { vipPaths } from "./paths.ts";
import { configHash, type VipAction } from "./plan.ts";

const CHECK_MS = 20_000;

export interface ApplyOptions {
  /** Default /var/lib/understudy/vip. */
  folder?: string;
  keepalived?: string;
  env?: NodeJS.ProcessEnv;
}

/**
 * Does one action. Throws Fault `vip.config-refused`, `host.command-failed`, or what the file
 * system throws.
 */
export async function applyVip(action: VipAction, options: ApplyOptions = {}): Promise<void> {
  const paths = vipPaths(options.folder);
  switch (action.do) {
    case "write-edge-watch":
      // keepalived runs nothing as root that somebody else could have written.
      await makeFolder(dirname(paths.edgeWatch));
      await writeFileAtomic(paths.edgeWatch, action.text, { mode: 0o755 });
      return;
    case "set-priority":
      await makeFolder(dirname(paths.priority));
      await writeFileAtomic(paths.priority, `${action.priority}\n`);
      return;
    case "write-config":
      await replaceConfig(action.text, options);
      return;
    case "enable":
      await unit("enable", UNITS.vip);
      return;
    case "start":
    case "reload":
      await load(action.do, options);
      return;
    case "stop":
      await unit("disable", UNITS.vip);
      await unit("stop", UNITS.vip);
      await rm(paths.loaded, { force: true });
  }
}

/** Checks `path` with keepalived. Throws Fault `vip.config-refused` with what it says. */
export async function checkConfig(path: string, options: ApplyOptions = {}): Promise<void> {
  const argv = [options.keepalived ?? "keepalived", "--config-test", "--use-file", path];
  const result = await tryRun(argv, {
    withinMs: CHECK_MS,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  // Exit 4 and 5 are refusals and warnings that keepalived would run with; both are worth stopping
  // for.
  if (result.ok) return;
  const said = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-5);
  throw new Fault(
    "vip.config-refused",
    "keepalived doesn't take the configuration rendered for it",
    {
      hints: [...said, "The addresses stay as they are. Is the interface there, and up?"],
    },
  );
}

async function replaceConfig(text: string, options: ApplyOptions): Promise<void> {
  const { config } = vipPaths(options.folder);
  const next = `${config}.next`;
  await makeFolder(dirname(config));
  await writeFileAtomic(next, text);
  try {
    await checkConfig(next, options);
    await rename(next, config);
  } finally {
    await rm(next, { force: true });
  }
  await syncFolder(dirname(config));
}

/**
 * Starts or reloads, and notes with what: the note comes last, so an interruption means once more.
 */
async function load(verb: "start" | "reload", options: ApplyOptions): Promise<void> {
  const paths = vipPaths(options.folder);
  const config = await readFile(paths.config, "utf8");
  await unit(verb, UNITS.vip);
  await writeFileAtomic(paths.loaded, `${configHash(config)}\n`);
}
