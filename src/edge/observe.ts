// What this server's edge is doing: the configuration on disk and the one HAProxy runs with, its
// workers, and how each puppetserver looks from here. Reads only.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isFault } from "../base/fault.ts";
import { readIfThere } from "../host/files.ts";
import type { EdgeConfig } from "./config.ts";
import { type EdgeWorker, parseInfo, parsePoison, parseStat, parseWeights } from "./parse.ts";
import { type Poisonous, type StatRow } from "./parse.ts";
import type { EdgeRuntime } from "./runtime.ts";

/** A puppetserver as this edge sees it. */
export interface EdgeServer {
  name: string;
  /**
   * `silent`: it takes connections or none, but answers nothing. `starting`: it answers "not yet".
   */
  state: "up" | "starting" | "down" | "silent" | "drained" | "unknown";
  /** HAProxy's own words: status and outcome of the last check. */
  because: string;
  /** Seconds in this state. */
  sinceS: number;
  /** Requests it works on. */
  busy: number;
  /** Its limit; undefined when HAProxy has none. */
  maxconn: number | undefined;
  weight: number;
}

export interface EdgeState {
  /** False: HAProxy doesn't run or doesn't answer; the rest is then empty. */
  running: boolean;
  /** `EdgeFiles.structure` of the configuration that the current worker runs with. */
  structure: string | undefined;
  workers: EdgeWorker[];
  servers: EdgeServer[];
  /** Requests that wait because every puppetserver is busy. */
  waiting: number;
  /** Requests that were repeated on another server since HAProxy last loaded its configuration. */
  replays: number;
  /** Whether the certificate authority of this server answers. */
  authority: boolean;
  poisonous: Poisonous[];
  /** What lies on disk. */
  files: { haproxyCfg: string | undefined; waitLua: string | undefined };
}

/** Reads all of it. Never throws for a HAProxy that isn't there. */
export async function observeEdge(runtime: EdgeRuntime): Promise<EdgeState> {
  const { paths } = runtime;
  const [haproxyCfg, waitLua] = await Promise.all([
    readIfThere(paths.config),
    readIfThere(paths.lua),
  ]);
  const idle: EdgeState = {
    running: false,
    structure: undefined,
    workers: [],
    servers: [],
    waiting: 0,
    replays: 0,
    authority: false,
    poisonous: [],
    files: { haproxyCfg, waitLua },
  };
  try {
    const [info, stat, state, poison, workers] = await Promise.all([
      runtime.ask("show info"),
      runtime.ask("show stat"),
      runtime.ask("show servers state compilers"),
      runtime.ask(`show map ${paths.poison}`),
      runtime.workers(),
    ]);
    const rows = parseStat(stat);
    const row = (proxy: string, server: string) =>
      rows.find((each) => each.proxy === proxy && each.server === server);
    const weights = parseWeights(state);
    return {
      ...idle,
      running: true,
      structure: parseInfo(info).get("description"),
      workers,
      servers: rows.filter(isPuppetserver).map((each) => serverOf(each, weights)),
      waiting: row("compilers", "BACKEND")?.queued ?? 0,
      replays: row("replay", "BACKEND")?.redispatched ?? 0,
      authority: row("authority", "local")?.status === "UP",
      poisonous: parsePoison(poison),
    };
  } catch (error) {
    if (isFault(error, "edge.unreachable")) return idle;
    throw error;
  }
}

function isPuppetserver({ proxy, server }: StatRow): boolean {
  return proxy === "compilers" && server !== "BACKEND";
}

/** Reads one puppetserver's row. */
export function serverOf(row: StatRow, weights: ReadonlyMap<string, number>): EdgeServer {
  const weight = weights.get(`${row.proxy}/${row.server}`) ?? row.weight;
  return {
    name: row.server,
    state: stateOf(row, weight),
    because: [row.status, row.check, row.checkCode]
      .filter((word) => word !== "")
      .join(" ")
      .trim(),
    sinceS: row.sinceS,
    busy: row.sessions,
    maxconn: row.maxconn,
    weight,
  };
}

function stateOf(row: StatRow, weight: number): EdgeServer["state"] {
  if (row.status.startsWith("DOWN")) {
    if (row.check.endsWith("TOUT")) return "silent";
    return row.check === "L7STS" ? "starting" : "down";
  }
  if (row.status === "DRAIN" || row.status.startsWith("MAINT") || weight === 0) return "drained";
  return row.status.startsWith("UP") ? "up" : "unknown";
}

/** Digest over the content of the PEM files that HAProxy reads, for `EdgeConfig.inputsDigest`. */
export async function digestInputs(config: EdgeConfig): Promise<string> {
  const hash = createHash("sha256");
  const files = [config.certificateFile, config.puppetCaFile];
  for (const path of [...files, config.edgeClientPem, config.edgeCaFile]) {
    hash.update(
      createHash("sha256")
        .update(await readFile(path))
        .digest(),
    );
  }
  return hash.digest("hex").slice(0, 16);
}
