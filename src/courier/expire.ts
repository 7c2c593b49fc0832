// Deactivates nodes that are gone, in place of PuppetDB's own clock: as a command like any other,
// so that every PuppetDB does the same. One courier does it, the one beside the PuppetDB that comes
// first; while that is down, nodes live longer.

import { join } from "node:path";
import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { deadline, pause } from "../base/retry.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import type { CourierConfig } from "./config.ts";
import type { Courier } from "./courier.ts";
import { hear, Hearing, planExpiry, type Silent } from "./expiry.ts";
import { queryPuppetdb } from "./query.ts";
import type { PuppetDbClient } from "./puppetdb-client.ts";

const LOOK_EVERY_MS = 600_000;
/** While PuppetDB isn't fit, or can't be asked. */
const LOOK_AGAIN_MS = 5000;
const LOOK_MS = 60_000;
/** Some hundred thousand nodes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const COMMAND = "command=deactivate_node&version=3";

const Time = z.iso.datetime({ offset: true }).nullable();
const Rows = z.array(
  z.object({
    certname: z.string(),
    facts_timestamp: Time,
    catalog_timestamp: Time,
    report_timestamp: Time,
  }),
);

/** Looks for nodes that are gone until `signal`. Does nothing where nodes live for ever. */
export async function expireNodes(
  courier: Courier,
  config: CourierConfig,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<void> {
  const { local } = courier;
  const [first] = config.puppetdbs.filter((id) => !config.filling.includes(id));
  if (config.nodeTtlS === 0 || local === undefined || local.id !== first) return;
  const path = join(config.stateDir, "heard.json");
  const told = new Set<string>();
  while (!signal.aborted) {
    let looked = false;
    try {
      // What it lacks still is no silence.
      const { puppetdbs } = await courier.status();
      looked = puppetdbs.some(({ id, fit }) => id === local.id && fit);
      const ttlMs = config.nodeTtlS * 1000;
      if (looked) await look(path, ttlMs, { courier, local, told, log, signal });
    } catch (error) {
      if (!signal.aborted) log.warn("who is silent can't be told now", { why: messageOf(error) });
    }
    await pause(looked ? LOOK_EVERY_MS : LOOK_AGAIN_MS, signal);
  }
}

interface LookDeps {
  courier: Courier;
  local: PuppetDbClient;
  /** Nodes that were deactivated already: one that PuppetDB keeps all the same is left to it. */
  told: Set<string>;
  log: Log;
  signal: AbortSignal;
}

async function look(path: string, ttlMs: number, deps: LookDeps): Promise<void> {
  const { courier, local, told, log, signal } = deps;
  const nodes = await readNodes(local, deadline(LOOK_MS, signal));
  const at = { nowMs: wallMs(), ttlMs };
  const hearing = hear(await readHearing(path, log), nodes, at);
  await writeFileAtomic(path, JSON.stringify(hearing), { mode: 0o600 });
  for (const { certname, producerMs } of planExpiry(nodes, hearing, at)) {
    if (signal.aborted) return;
    if (told.has(certname)) continue;
    const time = isoTime(producerMs);
    const body = JSON.stringify({ certname, producer_timestamp: time });
    const query = `${COMMAND}&certname=${encodeURIComponent(certname)}&producer-timestamp=${time}`;
    const head = { kind: "deactivation", certname, producerMs, query } as const;
    await courier.take(head, Buffer.from(body));
    told.add(certname);
    log.notice("a node that was silent for too long is deactivated", { certname });
  }
}

async function readNodes(local: PuppetDbClient, signal: AbortSignal): Promise<Silent[]> {
  const columns = ["certname", "facts_timestamp", "catalog_timestamp", "report_timestamp"];
  const query = ["from", "nodes", ["extract", columns, ["=", "node_state", "active"]]];
  const rows = Rows.parse(
    await queryPuppetdb(local, query, { bytesMax: ANSWER_BYTES_MAX, signal }),
  );
  return rows.flatMap(({ certname, ...times }) => {
    const known = Object.values(times).flatMap((time) => (time === null ? [] : [Date.parse(time)]));
    // One that nothing is known of has nothing to hide.
    return known.length === 0 ? [] : [{ certname, lastMs: Math.max(...known) }];
  });
}

/** A file that can't be read counts as the first look: nodes live longer. */
async function readHearing(path: string, log: Log): Promise<Hearing | undefined> {
  try {
    const text = await readIfThere(path);
    return text === undefined ? undefined : Hearing.parse(JSON.parse(text));
  } catch (error) {
    log.warn("since when nodes are heard can't be read: it counts from now", {
      why: messageOf(error),
    });
    return undefined;
  }
}
