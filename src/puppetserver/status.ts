// A puppetserver's status API: whether it serves, how many JRubies it has, how many requests wait.
// Asked over its own listener with the edge client certificate, as an edge would.

import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { askPuppetserver, type PuppetserverAccess } from "./ask.ts";

const ASK_MS = 5000;
/** With hundreds of metrics it is some 20 KB. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

export interface PuppetserverStatus {
  state: "running" | "starting" | "stopping" | "error" | "unknown";
  version: string;
  /** How many requests it compiles at once. Undefined while it doesn't tell (starting). */
  jrubies: number | undefined;
  freeJrubies: number | undefined;
  /** Requests that wait inside puppetserver for a JRuby; the edges should keep this at 0. */
  queued: number | undefined;
  /** Mean ms that a request holds a JRuby. */
  borrowMs: number | undefined;
  upMs: number | undefined;
  heapUsedBytes: number | undefined;
  heapMaxBytes: number | undefined;
}

const Count = z.number().finite().nonnegative();
/** A number where there is one; anything else is no reason to refuse the rest. */
const Maybe = Count.optional().catch(undefined);
const Metrics = z
  .object({
    "num-jrubies": Maybe,
    "num-free-jrubies": Maybe,
    "requested-instances": z.array(z.unknown()).optional().catch(undefined),
    "average-borrow-time": Maybe,
  })
  .optional()
  .catch(undefined);
const Heap = z.object({ used: Maybe, max: Maybe }).optional().catch(undefined);
const Jvm = z.object({ "up-time-ms": Maybe, "heap-memory": Heap }).optional().catch(undefined);
const Service = z.object({
  state: z.enum(["running", "starting", "stopping", "error", "unknown"]).catch("unknown"),
  service_version: z.string().max(64),
  status: z
    .object({ experimental: z.record(z.string(), z.unknown()).optional() })
    .optional()
    .catch(undefined),
});
const Services = z.record(z.string(), z.unknown());

/**
 * Asks for the status. Throws Fault `puppetserver.unreachable` when it doesn't answer, and
 * `puppetserver.status-unknown` when the answer isn't one.
 */
export async function readPuppetserverStatus(
  access: PuppetserverAccess,
  signal?: AbortSignal,
): Promise<PuppetserverStatus> {
  const where = `puppetserver of ${access.serverName} (${access.address}:${access.port})`;
  let body: string;
  try {
    body = await fetchStatus(access, deadline(ASK_MS, signal));
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault("puppetserver.unreachable", `${where}: ${messageOf(error).trim()}`, {
      cause: error,
    });
  }
  return parseStatus(body, where);
}

/**
 * Reads the answer of /status/v1/services?level=debug. Throws Fault `puppetserver.status-unknown`.
 */
export function parseStatus(body: string, where = "puppetserver"): PuppetserverStatus {
  const unknown = (why: string, cause?: unknown) =>
    new Fault("puppetserver.status-unknown", `${where}: its status is not understood: ${why}`, {
      cause,
    });
  let services: Record<string, unknown>;
  try {
    services = Services.parse(JSON.parse(body));
  } catch (error) {
    throw unknown("no JSON object", error);
  }
  // Puppet 6 and 7 say "master" and "server", Puppet 8 says "server" alone.
  const parsed = Service.safeParse(services["server"] ?? services["master"]);
  if (!parsed.success) throw unknown('no service "server"', parsed.error);
  const metrics = Metrics.parse(experimental(services["jruby-metrics"], "metrics"));
  const jvm = Jvm.parse(experimental(services["status-service"], "jvm-metrics"));
  return {
    state: parsed.data.state,
    version: parsed.data.service_version,
    jrubies: metrics?.["num-jrubies"],
    freeJrubies: metrics?.["num-free-jrubies"],
    queued: metrics?.["requested-instances"]?.length,
    borrowMs: metrics?.["average-borrow-time"],
    upMs: jvm?.["up-time-ms"],
    heapUsedBytes: jvm?.["heap-memory"]?.used,
    heapMaxBytes: jvm?.["heap-memory"]?.max,
  };
}

function experimental(service: unknown, name: string): unknown {
  const parsed = Service.safeParse(service);
  return parsed.success ? parsed.data.status?.experimental?.[name] : undefined;
}

async function fetchStatus(access: PuppetserverAccess, signal: AbortSignal): Promise<string> {
  const what = {
    path: "/status/v1/services?level=debug",
    accept: "application/json",
    bytesMax: BODY_BYTES_MAX,
  };
  const { status, body } = await askPuppetserver(access, what, signal);
  // 503 comes with the same body when a service isn't running yet.
  if (status === 200 || status === 503) return body.toString("utf8");
  throw new Error(`it answers ${status}`);
}
