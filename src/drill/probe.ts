// The synthetic agent: it connects and asks for a catalog as an agent does, over TLS with a
// certificate of the Puppet CA. Danger: an agent waits for minutes, so an attempt must not count as
// failed before an agent would have given up; whoever starts many bounds how many wait at once.

import { randomUUID } from "node:crypto";
import { Agent, request, type RequestOptions } from "node:https";
import { connect } from "node:net";
import { messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import type { Sample } from "./samples.ts";

/** What docs recommend as agents' read timeout. */
export const CATALOG_MS = 120_000;
const BODY_BYTES_MAX = 32 * 1024 * 1024;
const BECAUSE_MAX = 200;
const FACTS_MS = 3_600_000;

/** Where it connects, and as whom. */
export interface ProbeAccess {
  /** An address or a name. */
  host: string;
  port: number;
  /** The name that the server's certificate must have. */
  serverName: string;
  certname: string;
  /** PEM texts: the Puppet CA, the probe's certificate and its key. */
  ca: string;
  cert: string;
  key: string;
  facts: Record<string, unknown>;
}

/** One catalog, or why there is none. */
export interface CatalogSample extends Sample {
  /** HTTP's status; 0: there was no answer. */
  status: number;
}

/** A clock that doesn't jump while something is measured, in milliseconds since the epoch. */
export function steadyClock(): () => number {
  const originMs = wallMs() - monotonicMs();
  return () => originMs + monotonicMs();
}

/**
 * Asks for one catalog. Without `agent`, by a connection of its own. Never throws: what went wrong
 * is in the answer.
 */
export async function askCatalog(
  access: ProbeAccess,
  now: () => number,
  {
    agent,
    signal,
    withinMs = CATALOG_MS,
  }: { agent?: Agent; signal?: AbortSignal; withinMs?: number } = {},
): Promise<CatalogSample> {
  const startMs = now();
  const limit = deadline(withinMs, signal);
  const body = catalogBody(access, randomUUID(), wallMs());
  const options: RequestOptions = {
    ...tlsOf(access),
    method: "POST",
    path: `/puppet/v3/catalog/${access.certname}?environment=production`,
    headers: {
      accept: "application/vnd.puppet.rich+json, application/json",
      "content-type": "application/x-www-form-urlencoded",
      "content-length": Buffer.byteLength(body),
      ...(agent === undefined ? { connection: "close" } : {}),
    },
    agent: agent ?? false,
    signal: limit,
  };
  let status = 0;
  try {
    const { port, isLast, ...answer } = await send(options, body);
    status = answer.status;
    const because = judgeCatalog(access.certname, answer);
    const by = { ...(port !== undefined && { port }), ...(isLast && { isLast }) };
    return { startMs, endMs: now(), ok: because === "", because, status, ...by };
  } catch (error) {
    const because = limit.aborted ? "no answer in time" : codeOf(error);
    return { startMs, endMs: now(), ok: false, because, status };
  }
}

/** A connection pool of one, for requests by a connection that is kept. */
export function keptConnection(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 1, keepAliveMsecs: 1000 });
}

/** Makes a TCP connection and ends it. Never throws. */
export async function connectOnce(
  { host, port }: Pick<ProbeAccess, "host" | "port">,
  now: () => number,
  limitMs: number,
): Promise<Sample> {
  const startMs = now();
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let isOpen = true;
    const end = (because: string) => {
      if (!isOpen) return;
      isOpen = false;
      clearTimeout(timer);
      const ok = because === "";
      // A reset leaves no TIME_WAIT behind, of which ports would run out.
      if (ok) socket.resetAndDestroy();
      else socket.destroy();
      resolve({ startMs, endMs: now(), ok, because });
    };
    // A busy process comes here late: what has happened meanwhile is heard first.
    const late = () => void setImmediate(end, "no connection in time");
    const timer = setTimeout(late, limitMs);
    socket.once("connect", () => end(""));
    socket.on("error", (error) => end(codeOf(error)));
  });
}

/** Why an answer is no catalog of `certname`; empty when it is one. */
export function judgeCatalog(
  certname: string,
  { status, text }: { status: number; text: string },
): string {
  if (status !== 200) return `${status}: ${firstLine(messageIn(text))}`;
  try {
    const { name, resources } = JSON.parse(text) as { name?: unknown; resources?: unknown };
    if (name !== certname) return "the catalog is another node's";
    return Array.isArray(resources) ? "" : "the catalog has no resources";
  } catch {
    return "the answer is no JSON";
  }
}

/** The form that an agent sends: facts in JSON, encoded twice as agents do. */
export function catalogBody(
  { certname, facts }: Pick<ProbeAccess, "certname" | "facts">,
  uuid: string,
  nowMs: number,
): string {
  const sent = {
    name: certname,
    values: { ...facts, clientcert: certname },
    timestamp: isoTime(nowMs),
    expiration: isoTime(nowMs + FACTS_MS),
  };
  return new URLSearchParams({
    environment: "production",
    configured_environment: "production",
    facts_format: "application/json",
    facts: encodeURIComponent(JSON.stringify(sent)),
    transaction_uuid: uuid,
    static_catalog: "true",
    checksum_type: "sha256",
    fail_on_404: "true",
  }).toString();
}

function tlsOf({ host, port, serverName, ca, cert, key }: ProbeAccess): RequestOptions {
  return { host, port, servername: serverName, ca, cert, key };
}

async function send(
  options: RequestOptions,
  body: string,
): Promise<{ status: number; text: string; port: number | undefined; isLast: boolean }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > BODY_BYTES_MAX) incoming.destroy(new Error("the answer has no end"));
        else chunks.push(chunk);
      });
      incoming.on("error", reject);
      // Afterwards the socket isn't this request's any more.
      const port = incoming.socket.localPort;
      const isLast = incoming.headers.connection?.toLowerCase() === "close";
      incoming.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: incoming.statusCode ?? 0, text, port, isLast });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** What puppetserver says of an error: JSON with a message, or text. */
function messageIn(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === "string" ? message : text;
  } catch {
    return text;
  }
}

function firstLine(text: string): string {
  return (text.trim().split("\n")[0] ?? "").slice(0, BECAUSE_MAX);
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : firstLine(messageOf(error));
}
