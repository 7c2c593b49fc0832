// Carries out what plan.ts lists. The idea: HAProxy checks a configuration before it replaces the
// one that works, and a reload is over only when the new worker says that it runs with it. Danger:
// HAProxy does not start without the two lists that outlive its configuration.

import { rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { wallMs } from "../host/clock.ts";
import {
  createFileAtomic,
  exists,
  makeFolder,
  readIfThere,
  syncFolder,
  writeFileAtomic,
  writeIfChanged,
} from "../host/files.ts";
import { tryRun } from "../host/process.ts";
import { type EdgeConfig, type EdgePaths, edgePaths, POISON_S } from "./config.ts";
import { parseInfo, parsePoison, renderPoison, type Poisonous } from "./parse.ts";
import type { EdgeAction } from "./plan.ts";
import { renderEdge } from "./render.ts";
import type { EdgeRuntime } from "./runtime.ts";
import { writeToSpare } from "./spare.ts";

const CHECK_MS = 30_000;
const RELOAD_MS = 30_000;

export interface ApplyOptions {
  /** The program; default is found on the path. */
  haproxy?: string;
  env?: NodeJS.ProcessEnv;
}

/**
 * Does one action. Throws Fault `edge.config-refused`, `edge.not-reloaded`, `edge.unreachable`,
 * `edge.command-refused`.
 */
export async function applyEdge(
  action: EdgeAction,
  desired: EdgeConfig,
  runtime: EdgeRuntime,
  options: ApplyOptions = {},
): Promise<void> {
  switch (action.do) {
    case "write":
      await writeEdgeFiles(desired, options);
      return;
    case "reload":
      await reload(desired, runtime);
      return;
    case "set-maxconn":
      await command(runtime, `set maxconn server compilers/${action.server} ${action.maxconn}`);
  }
}

/**
 * Writes what `config` determines, once HAProxy has accepted it. Returns the files that changed.
 */
export async function writeEdgeFiles(
  config: EdgeConfig,
  options: ApplyOptions = {},
): Promise<string[]> {
  const paths = edgePaths(config);
  const files = renderEdge(config);
  await makeFolder(config.stateDir);
  for (const list of [paths.revoked, paths.poison]) {
    if (await exists(list)) continue;
    // Somebody may just be adding to it.
    await createFileAtomic(list, "").catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== "EEXIST") throw error;
    });
  }
  const changed: string[] = [];
  // Any configuration works with the newest Lua, so it may come first.
  if (await writeIfChanged(paths.lua, files.waitLua)) changed.push(paths.lua);
  if ((await readIfThere(paths.config)) !== files.haproxyCfg) {
    await replaceConfig(paths, files.haproxyCfg, options);
    changed.push(paths.config);
  }
  return changed;
}

async function replaceConfig(paths: EdgePaths, text: string, options: ApplyOptions): Promise<void> {
  const candidate = await writeCandidate(paths.config, text);
  const result = await tryRun([options.haproxy ?? "haproxy", "-c", "-q", "-f", candidate], {
    withinMs: CHECK_MS,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  if (!result.ok) {
    await rm(candidate, { force: true });
    const said = `${result.stderr}\n${result.stdout}`.trim().split("\n").slice(0, 5);
    throw new Fault("edge.config-refused", "HAProxy refuses the new configuration", {
      hints: ["The edge goes on with the one it has.", ...said],
    });
  }
  await rename(candidate, paths.config);
  await syncFolder(dirname(paths.config));
}

async function writeCandidate(config: string, text: string): Promise<string> {
  const candidate = `${config}.new`;
  try {
    await writeFileAtomic(candidate, text);
    return candidate;
  } catch (error) {
    if (!isFull(error)) throw error;
    return writeToSpare(config, text).catch(() => Promise.reject(error));
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOSPC";
}

/** Loads the configuration on disk and waits until the current worker runs with it. */
async function reload(desired: EdgeConfig, runtime: EdgeRuntime): Promise<void> {
  // Requests must get away from a server whose disk is full; each tick tries again, and says so.
  await keepPoison(runtime).catch(() => undefined);
  const { structure } = renderEdge(desired);
  await runtime.reload();
  const runs = async () =>
    runtime.ask("show info").then(
      (text) => parseInfo(text).get("description") === structure,
      () => false,
    );
  await until("HAProxy's reload", runs, { withinMs: RELOAD_MS }).catch((cause: unknown) => {
    throw new Fault("edge.not-reloaded", "HAProxy does not run with the new configuration", {
      hints: ["Agents are served with the former one. See: journalctl -u understudy-edge"],
      cause,
    });
  });
}

/**
 * Writes the list of poisonous catalogs to its file when it has changed: a new worker, also one
 * that starts after a crash, knows only that. `observed`: the list, where it was read just now.
 */
export async function keepPoison(
  runtime: EdgeRuntime,
  observed?: readonly Poisonous[],
): Promise<void> {
  const { poison } = runtime.paths;
  const known = observed ?? parsePoison(await runtime.ask(`show map ${poison}`));
  const oldest = wallMs() / 1000 - POISON_S;
  await writeIfChanged(poison, renderPoison(known.filter(({ at }) => at > oldest)));
}

async function command(runtime: EdgeRuntime, line: string): Promise<void> {
  const answer = (await runtime.ask(line)).trim();
  if (answer !== "") {
    throw new Fault("edge.command-refused", `HAProxy answered "${line}" with: ${answer}`);
  }
}
