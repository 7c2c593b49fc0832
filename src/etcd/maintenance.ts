// Care of the database: status, alarms, compaction, defragmentation, snapshots. Danger: a member
// that defragments serves nothing meanwhile, and a snapshot that was cut short must never look
// whole.

import { createHash } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault, isFault } from "../base/fault.ts";
import { monotonicMs } from "../host/clock.ts";
import { syncFolder } from "../host/files.ts";
import { ask, type Client } from "./call.ts";
import type { Alarm, CallOptions, MemberStatus } from "./types.ts";
import { asList, asNumber, asObject, asText, decodeError, decodeStatus } from "./wire.ts";

const DEFRAGMENT_MS = 120_000;
const SNAPSHOT_MS = 300_000;
const SNAPSHOT_SILENCE_MS = 10_000;
const SHA256_BYTES = 32;
const PAGE_BYTES = 512;

/** See Etcd.status. */
export async function status(
  client: Client,
  endpoint: string,
  options: CallOptions = {},
): Promise<MemberStatus> {
  const request = { path: "/v3/maintenance/status", body: {}, endpoint };
  const limits = { withinMs: client.attemptMs, ...options };
  return decodeStatus(endpoint, (await ask(client, request, limits)).body);
}

/** See Etcd.alarms. */
export async function alarms(client: Client, options?: CallOptions): Promise<Alarm[]> {
  const body = { action: "GET" };
  const answer = await ask(client, { path: "/v3/maintenance/alarm", body }, options);
  return asList(asObject(answer.body, "alarms")["alarms"]).map((item) => {
    const alarm = asObject(item, "an alarm");
    const kind = asText(alarm["alarm"], "NONE") === "CORRUPT" ? "CORRUPT" : "NOSPACE";
    return { memberId: asText(alarm["memberID"], "0"), alarm: kind };
  });
}

/** See Etcd.disarm. */
export async function disarm(client: Client, options?: CallOptions): Promise<void> {
  for (const { memberId, alarm } of await alarms(client, options)) {
    const body = { action: "DEACTIVATE", memberID: memberId, alarm };
    await ask(client, { path: "/v3/maintenance/alarm", body }, options);
  }
}

/** See Etcd.compact. */
export async function compact(
  client: Client,
  revision: number,
  options?: CallOptions,
): Promise<void> {
  try {
    const body = { revision: String(revision), physical: true };
    await ask(client, { path: "/v3/kv/compaction", body, silenceMs: DEFRAGMENT_MS }, options);
  } catch (error) {
    if (!isFault(error, "etcd.compacted")) throw error;
  }
}

/** See Etcd.defragment. */
export async function defragment(
  client: Client,
  endpoint: string,
  options: CallOptions = {},
): Promise<void> {
  const silenceMs = options.withinMs ?? DEFRAGMENT_MS;
  const request = { path: "/v3/maintenance/defragment", body: {}, endpoint, silenceMs };
  await ask(client, request, { withinMs: silenceMs, ...options });
}

/**
 * See Etcd.snapshot. Throws Fault `etcd.snapshot` and leaves nothing when it doesn't come whole.
 */
export async function snapshot(
  client: Client,
  endpoint: string,
  path: string,
  options: CallOptions = {},
): Promise<{ bytes: number }> {
  const partial = `${path}.partial`;
  await rm(partial, { force: true });
  const file = await open(partial, "wx", 0o600);
  try {
    const hash = createHash("sha256");
    const end = monotonicMs() + (options.withinMs ?? SNAPSHOT_MS);
    let tail = Buffer.alloc(0);
    let bytes = 0;
    const limits = { connectMs: client.attemptMs, silenceMs: SNAPSHOT_SILENCE_MS };
    const { signal } = options;
    const attempt = { endpoint, path: "/v3/maintenance/snapshot", body: {}, ...limits, signal };
    const outcome = await client.transport().stream(attempt, async (line) => {
      if (monotonicMs() > end) throw new Error("the deadline has passed");
      const blob = decodeBlob(line);
      await file.appendFile(blob);
      bytes += blob.length;
      // The last 32 bytes are the sum of all before them.
      tail = Buffer.concat([tail, blob]);
      const body = tail.subarray(0, Math.max(0, tail.length - SHA256_BYTES));
      hash.update(body);
      tail = tail.subarray(body.length);
    });
    if (outcome.got !== "answer") {
      throw broken(endpoint, outcome.got === "error" ? outcome.message : outcome.why);
    }
    if (bytes % PAGE_BYTES !== SHA256_BYTES || !hash.digest().equals(tail)) {
      throw broken(endpoint, `${bytes} bytes came, and their checksum is wrong`);
    }
    await file.sync();
    await rename(partial, path);
    await syncFolder(dirname(path));
    return { bytes };
  } finally {
    await file.close();
    await rm(partial, { force: true });
  }
}

function decodeBlob(line: unknown): Buffer {
  const envelope = asObject(line, "a line of a snapshot");
  if (envelope["error"] !== undefined) throw new Error(decodeError(envelope).message);
  const result = asObject(envelope["result"], "a snapshot's result");
  asNumber(result["remaining_bytes"]);
  return Buffer.from(asText(result["blob"], ""), "base64");
}

function broken(endpoint: string, why: string): Fault {
  return new Fault("etcd.snapshot", `no whole snapshot came from ${endpoint}: ${why}`);
}
