// The door of the other couriers: copies of what they took, what waits here, and the way to this
// server's PuppetDB, which listens on loopback only. Certificates of the edge CA open it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { BODY_BYTES_MAX } from "./command.ts";
import type { Courier } from "./courier.ts";
import { parseHead } from "./frame.ts";
import { Deleted, HEAD_HEADER } from "./peers.ts";
import { passOn, Unreached } from "./pass-on.ts";
import { UNREACHED_HEADER } from "./puppetdb-client.ts";
import { readBody } from "../base/read-body.ts";

const COPIES = /^\/(commands|uploads)\/([^/?]+)(?:\/(\d{1,15}))?$/;
const KNOWN = /^\/known\/([0-9a-f]{64})$/;
const PUPPETDB = "/puppetdb";
const DELETIONS_BYTES_MAX = 1024 * 1024;

/** The HTTPS server; the caller listens. */
export function createPeerDoor(
  courier: Courier,
  options: { cert: string; key: string; ca: string; crl?: string[]; log: Log },
): Server {
  const { log, ...files } = options;
  const tls = { ...files, requestCert: true, rejectUnauthorized: true };
  return createServer(tls, (incoming, outgoing) => {
    serve(courier, incoming, outgoing).catch((error: unknown) => {
      log.warn("another courier's request failed", { why: messageOf(error) });
      if (outgoing.headersSent) outgoing.destroy();
      else answer(outgoing, 503, { error: messageOf(error) });
    });
  });
}

async function serve(
  courier: Courier,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const url = new URL(incoming.url ?? "/", "https://courier");
  const { method } = incoming;
  if (url.pathname.startsWith(`${PUPPETDB}/`)) return pass(courier, incoming, outgoing);
  if (method === "GET" && url.pathname === "/state") {
    return answer(outgoing, 200, courier.state());
  }
  if (url.pathname === "/deletions") {
    if (method === "GET") return answer(outgoing, 200, { deleted: courier.deletions.all() });
    const text = (await readBody(incoming, DELETIONS_BYTES_MAX)).toString("utf8");
    await courier.deletions.add(Deleted.parse(JSON.parse(text)).deleted);
    return answer(outgoing, 204);
  }
  const [, sha256] = KNOWN.exec(url.pathname) ?? [];
  if (sha256 !== undefined) {
    return answer(outgoing, 200, { knows: courier.uploads?.known(sha256) ?? "unknown" });
  }
  const [, name, encoded = "", seq] = COPIES.exec(url.pathname) ?? [];
  const origin = decodeURIComponent(encoded);
  const holdings = name === "uploads" ? courier.uploads?.holdings : courier.holdings;
  if (origin === "" || holdings === undefined) {
    return answer(outgoing, 404, { error: "there is nothing here" });
  }
  if (method === "PUT" && seq !== undefined) {
    const text = Buffer.from(String(incoming.headers[HEAD_HEADER] ?? ""), "base64");
    const head = parseHead(text.toString("utf8"));
    const body = await readBody(incoming, BODY_BYTES_MAX);
    await holdings.keep(origin, Number(seq), head, body);
    if (head.sha256 !== undefined) courier.uploads?.noteCopy(head.sha256);
    return answer(outgoing, 204);
  }
  if (method === "GET") {
    return answer(outgoing, 200, { held: (await holdings.of(origin)).held() });
  }
  const upTo = Number(url.searchParams.get("upTo"));
  if (method !== "DELETE" || !Number.isSafeInteger(upTo)) {
    return answer(outgoing, 400, { error: "that can't be" });
  }
  await holdings.release(origin, upTo);
  return answer(outgoing, 204);
}

/** To this server's own PuppetDB, as it came. */
async function pass(
  courier: Courier,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  if (courier.local === undefined) {
    return answer(outgoing, 503, { error: "this server runs no PuppetDB" });
  }
  const path = (incoming.url ?? "").slice(PUPPETDB.length);
  const body = await readBody(incoming, BODY_BYTES_MAX);
  try {
    await passOn(courier.local, { incoming, outgoing, path, body });
  } catch (error) {
    if (!(error instanceof Unreached)) throw error;
    outgoing.setHeader(UNREACHED_HEADER, error.message.replace(/[^ -~]/g, "?"));
    answer(outgoing, 502, { error: error.message });
  }
}

function answer(outgoing: ServerResponse, status: number, value?: unknown): void {
  if (value === undefined) outgoing.writeHead(status).end();
  else
    outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
