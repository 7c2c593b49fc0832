// The door of PuppetDB's clients: its own port, its own API. Commands are taken here, and reports
// for other receivers; everything else goes to a fit PuppetDB. Danger: an answer that breaks off
// must break the connection off too, or a client takes half of its exported resources for all.

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { TLSSocket } from "node:tls";
import { isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { PROBE_PREFIX } from "../cluster/drill.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { BODY_BYTES_MAX, readCommandBody, readCommandRequest, type Refusal } from "./command.ts";
import type { Courier } from "./courier.ts";
import { ADMIN_PATH, readDeletion } from "./deletion.ts";
import { CONTENT_TYPE_MAX } from "./frame.ts";
import { PASS_MS, type PassedOn, passOn, Unreached } from "./pass-on.ts";
import { BodyTooLong, readBody } from "../base/read-body.ts";

/** A client that says nothing for so long is let go, milliseconds. */
const SILENT_MS = 60_000;
/**
 * How long clients are told to keep a connection that they don't use, and how much longer it is
 * there, milliseconds. Puppet's own limit; short, since at the end the courier waits for it.
 */
const KEPT_MS = 4000;
const KEPT_LONGER_MS = 1000;
/**
 * How long queries wait for a PuppetDB that is fit, from when there was none: a courier that has
 * just started hasn't looked yet, and one that moves takes a moment. Below the terminus's own 30 s.
 */
const NONE_FIT_MS = 10_000;
const LOOK_AGAIN_MS = 100;
/** What puppet.conf's `reporturl` names. */
const REPORTS_PATH = "/understudy/courier/v1/reports";
/**
 * What any certificate of the Puppet CA opens, as at PuppetDB; all else is for those in the
 * allowlist. No other spelling is let through: PuppetDB unescapes a path and folds its dots, and on
 * loopback it asks nobody who he is.
 */
const OPEN = /^\/(?:status|metrics)(?:\/[\w:=,*-][\w.:=,*-]*)+\/?$/;
const ACT_BYTES_MAX = 64 * 1024;
const QUERY_BODY_BYTES_MAX = 8 * 1024 * 1024;

export interface ClientDoorOptions {
  cert: string;
  key: string;
  ca: string;
  /** One for each CA above a client's certificate. */
  crl: string[];
  /** Certnames that may use more than OPEN. */
  allow: readonly string[];
  log: Log;
}

/** The HTTPS server; the caller listens. */
export function createClientDoor(courier: Courier, options: ClientDoorOptions): Server {
  const { cert, key, ca, crl, log } = options;
  const allowed = new Set(options.allow);
  const patience: Patience = { sinceMs: undefined };
  const tls = { cert, key, ca, crl, requestCert: true, rejectUnauthorized: true };
  const kept = { keepAliveTimeout: KEPT_MS, keepAliveTimeoutBuffer: KEPT_LONGER_MS };
  const server = createServer({ ...tls, ...kept }, (incoming, outgoing) => {
    serve(courier, { allowed, patience }, incoming, outgoing).catch((error: unknown) => {
      log.warn("a client's request failed", { why: messageOf(error) });
      if (outgoing.headersSent) outgoing.destroy();
      else say(outgoing, 503, `The courier can't do this now: ${messageOf(error)}`);
    });
  });
  server.on("tlsClientError", (error, { remoteAddress = "" }) => {
    log.info("a client's connection failed", { from: remoteAddress, why: error.message });
  });
  server.requestTimeout = PASS_MS;
  server.headersTimeout = SILENT_MS;
  return server;
}

/** Since when no PuppetDB is fit, monotonic milliseconds; undefined: one is. */
interface Patience {
  sinceMs: number | undefined;
}

async function serve(
  courier: Courier,
  { allowed, patience }: { allowed: ReadonlySet<string>; patience: Patience },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const url = incoming.url ?? "/";
  const path = url.split("?")[0] ?? "";
  const certname = commonNameOf(incoming);
  if (!OPEN.test(path) && !allowed.has(certname)) {
    const text = `Permission denied: The client certificate name ${certname} doesn't appear in the certificate allowlist.`;
    return say(outgoing, 403, text);
  }
  if (path === "/pdb/cmd/v1") return takeCommand(courier, incoming, outgoing);
  if (path === ADMIN_PATH) return takeDeletion(courier, incoming, outgoing);
  if (path.startsWith("/pdb/admin/")) {
    const text = "The courier passes no admin commands on: send them to each PuppetDB itself.";
    return say(outgoing, 501, text);
  }
  if (path === "/understudy/courier/v1/status") {
    return sayJson(outgoing, 200, await courier.status());
  }
  if (path === REPORTS_PATH) return takeUpload(courier, incoming, outgoing);
  return passQuery(courier, patience, { incoming, outgoing, path: url });
}

/** A report as puppetserver's `http` report processor posts it. */
async function takeUpload(
  { uploads }: Courier,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const refused = (status: Refusal["status"] | 503, because: string) =>
    refuse(outgoing, { status, because });
  if (incoming.method !== "POST") return refused(405, "reports come by POST");
  if (uploads === undefined) return refused(503, "no receiver of reports is known");
  const { "content-type": contentType = "", "content-encoding": encoding } = incoming.headers;
  if (encoding !== undefined && encoding !== "gzip") return refused(415, "gzip or nothing");
  if (contentType.length > CONTENT_TYPE_MAX) return refused(415, "the content type is too long");
  let body: Buffer;
  try {
    body = await readBody(incoming, BODY_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof BodyTooLong)) throw error;
    return refused(413, error.message);
  }
  if (body.length === 0) return refused(400, "the body is empty");
  try {
    await uploads.take({ body, contentType, ...(encoding && { encoding }) });
    sayJson(outgoing, 200, {});
  } catch (error) {
    if (!isFault(error, "courier")) throw error;
    say(outgoing, 503, error.message);
  }
}

async function takeCommand(
  courier: Courier,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const query = (incoming.url ?? "").split("?").slice(1).join("?");
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
  );
  const asked = readCommandRequest({ method: incoming.method ?? "", query, headers });
  if (!asked.ok) return refuse(outgoing, asked);
  let body: Buffer;
  try {
    body = await readBody(incoming, BODY_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof BodyTooLong)) throw error;
    return refuse(outgoing, { status: 413, because: error.message });
  }
  const read = readCommandBody(asked.head, body, wallMs());
  if (!read.ok) return refuse(outgoing, read);
  // A synthetic agent is no node: nothing of it is to be in any PuppetDB.
  if (read.head.certname.startsWith(PROBE_PREFIX)) {
    return sayJson(outgoing, 200, { uuid: randomUUID() });
  }
  try {
    const { id } = await courier.take(read.head, body);
    sayJson(outgoing, 200, { uuid: id });
    if (read.failed !== undefined) courier.failedRuns.note(read.failed, wallMs());
  } catch (error) {
    if (!isFault(error, "courier")) throw error;
    say(outgoing, 503, error.message);
  }
}

/** An administrator's act: a deletion is kept like a command, and answered as PuppetDB does. */
async function takeDeletion(
  courier: Courier,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  if (incoming.method !== "POST") return refuse(outgoing, { status: 405, because: "POST it" });
  const body = await readBody(incoming, ACT_BYTES_MAX);
  const read = readDeletion(body, wallMs());
  if (!read.ok) return refuse(outgoing, read);
  try {
    await courier.take(read.head, body);
    sayJson(outgoing, 200, { deleted: read.head.certname });
  } catch (error) {
    if (!isFault(error, "courier")) throw error;
    say(outgoing, 503, error.message);
  }
}

async function passQuery(
  courier: Courier,
  patience: Patience,
  request: Omit<PassedOn, "body">,
): Promise<void> {
  const { incoming, outgoing } = request;
  const body = await readBody(incoming, QUERY_BODY_BYTES_MAX);
  for (;;) {
    const to = courier.forQueries();
    if ("because" in to) {
      patience.sinceMs ??= monotonicMs();
      if (monotonicMs() - patience.sinceMs > NONE_FIT_MS) return say(outgoing, 503, to.because);
      await pause(LOOK_AGAIN_MS);
      if (outgoing.destroyed) return;
      continue;
    }
    patience.sinceMs = undefined;
    try {
      return await passOn(to.client, { ...request, body });
    } catch (error) {
      if (!(error instanceof Unreached) || outgoing.destroyed) throw error;
      // It is unfit until it has been looked at again, so this ends when none is left.
      courier.lost(to.client.id, error.message);
    }
  }
}

/** By connection: its client's certificate is the same for every request on it. */
const commonNames = new WeakMap<TLSSocket, string>();

/** Empty: it has none. */
function commonNameOf(incoming: IncomingMessage): string {
  const socket = incoming.socket as TLSSocket;
  const known = commonNames.get(socket);
  if (known !== undefined) return known;
  const { CN } = socket.getPeerCertificate().subject ?? {};
  const name = typeof CN === "string" ? CN : "";
  commonNames.set(socket, name);
  return name;
}

function refuse(
  outgoing: ServerResponse,
  { status, because }: { status: number; because: string },
): void {
  // Of a body that wasn't read there may be more to come.
  if (status !== 400) outgoing.setHeader("connection", "close");
  sayJson(outgoing, status, { error: because });
}

function say(outgoing: ServerResponse, status: number, text: string): void {
  outgoing.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  outgoing.end(`${text}\n`);
}

function sayJson(outgoing: ServerResponse, status: number, value: unknown): void {
  outgoing.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  outgoing.end(JSON.stringify(value));
}
