// What this server's edge is doing: the configuration on disk and the one HAProxy runs with, its
// workers, and how each puppetserver looks from here. Reads only.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isFault } from "../base/fault.ts";
import { readIfThere } from "../host/files.ts";
import { wallMs } from "../host/clock.ts";
import { type EdgeConfig, POISON_S } from "./config.ts";
import { type EdgeWorker, parseInfo, parsePoison, parseStat } from "./parse.ts";
import { type Poisonous, type StatRow } from "./parse.ts";
import type { EdgeRuntime } from "./runtime.ts";

/** A puppetserver as this edge sees it. */
export interface EdgeServer {
  name: string;
  /**
   * `silent`: it takes connections or none, but answers nothing. `starting`: it answers "not yet".
   * `drained`: it would answer, but is asked only while no other is up.
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
  /** Requests that wait for it. */
  queued: number;
  /** Requests since HAProxy last loaded its configuration. */
  total: number;
  /** How long it takes to answer, mean of the last 1024 requests, milliseconds. */
  responseMs: number;
}

export interface EdgeState {
  /** False: HAProxy doesn't run or doesn't answer; the rest is then empty. */
  running: boolean;
  /** `EdgeFiles.structure` of the configuration that the current worker runs with. */
  structure: string | undefined;
  workers: EdgeWorker[];
  servers: EdgeServer[];
  /** Requests that wait because no puppetserver is up, or every one is busy. */
  waiting: number;
  /** Agents' connections to the current worker; former ones end when theirs have. */
  connections: number;
  /** Requests that were repeated on another server since HAProxy last loaded its configuration. */
  replays: number;
  /** Whether the certificate authority of this server answers, or stock's once that has the CA. */
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
    connections: 0,
    replays: 0,
    authority: false,
    poisonous: [],
    files: { haproxyCfg, waitLua },
  };
  try {
    const [info, stat, poison, workers] = await Promise.all([
      runtime.ask("show info"),
      runtime.ask("show stat"),
      runtime.ask(`show map ${paths.poison}`),
      runtime.workers(),
    ]);
    const rows = parseStat(stat);
    const row = (proxy: string, server: string) =>
      rows.find((each) => each.proxy === proxy && each.server === server);
    return {
      ...idle,
      running: true,
      structure: parseInfo(info).get("description"),
      workers,
      servers: rows.filter(isPuppetserver).map(serverOf),
      waiting: countWaiting(rows),
      connections: row("agents", "FRONTEND")?.sessions ?? 0,
      replays: row("replay", "BACKEND")?.redispatched ?? 0,
      authority: isUp(row("authority", "stock") ?? row("authority", "local")),
      poisonous: parsePoison(poison).filter(({ at }) => at > wallMs() / 1000 - POISON_S),
    };
  } catch (error) {
    if (isFault(error, "edge.unreachable")) return idle;
    throw error;
  }
}

function isPuppetserver({ proxy, server }: StatRow): boolean {
  return proxy === "compilers" && server !== "BACKEND";
}

/**
 * Counts requests that no puppetserver works on: those queued for one, and those held before they
 * come to a queue. Each request has a connection of its own to the inner tier.
 */
function countWaiting(rows: readonly StatRow[]): number {
  const row = (proxy: string) =>
    rows.find((each) => each.proxy === proxy && /^(FRONTEND|BACKEND)$/.test(each.server));
  const sessions = (proxies: string[]) =>
    proxies.reduce((sum, proxy) => sum + (row(proxy)?.sessions ?? 0), 0);
  const held = sessions(["once", "again"]) - sessions(["compilers", "light"]);
  return Math.max(0, held) + (row("compilers")?.queued ?? 0);
}

/** Reads one puppetserver's row. */
export function serverOf(row: StatRow): EdgeServer {
  return {
    name: row.server,
    state: stateOf(row),
    because: [row.status, row.check, row.checkCode]
      .filter((word) => word !== "")
      .join(" ")
      .trim(),
    sinceS: row.sinceS,
    busy: row.sessions,
    maxconn: row.maxconn,
    queued: row.queued,
    total: row.total,
    responseMs: row.responseMs,
  };
}

function stateOf(row: StatRow): EdgeServer["state"] {
  if (row.status.startsWith("DOWN")) {
    if (row.check.endsWith("TOUT")) return "silent";
    return row.check === "L7STS" ? "starting" : "down";
  }
  if (row.status === "DRAIN" || row.status.startsWith("MAINT") || row.lastResort) return "drained";
  return isUp(row) ? "up" : "unknown";
}

/** "UP 1/3" has failed a check, and HAProxy still sends requests there. */
function isUp(row: StatRow | undefined): boolean {
  return row?.status.startsWith("UP") ?? false;
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
