// The listeners of the control API. A Fault becomes the same JSON body everywhere; its code decides
// the status. Danger: Node's server closes idle connections after 5 s by default, the edge's after
// longer.

import { rm } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import {
  createServer as createHttpsServer,
  type Server as HttpsServer,
  type ServerOptions,
} from "node:https";
import type { Socket } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { monotonicMs } from "../host/clock.ts";
import { chmodSocket } from "../host/sockets.ts";
import { createRateLimiter, plainAddress, sourceOf } from "./limits.ts";

/** For our own: commands, members, edges. */
const OURS = {
  keepAliveTimeout: 75_000,
  headersTimeout: 20_000,
  requestTimeout: 120_000,
} as const;

/** For strangers: less of everything, looked after more often. */
const STRANGERS = {
  keepAliveTimeout: 75_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5000,
  maxHeaderSize: 8 * 1024,
} as const;
const STRANGERS_HANDSHAKE_MS = 10_000;
/** Longest silence on a connection, also of a slow reader. */
const STRANGERS_IDLE_MS = 300_000;
const STRANGERS_HEADERS_MAX = 64;
const STRANGERS_CONNECTIONS_MAX = 500;
/** Of one address: whoever holds many keeps nobody else out. */
const CONNECTIONS_OF_ONE_MAX = 50;
/** On a listener for members, those without a certificate that is good here. */
const UNKNOWN_MAX = 30;
/** How many connections begin: a TLS handshake costs this process milliseconds. */
const ARRIVALS_OF_ONE = { burst: 60, perS: 20, keysMax: 10_000 };
const ARRIVALS_OF_ALL = { burst: 300, perS: 60, keysMax: 1 };

/** How long a closing listener waits for requests that are running. */
const CLOSE_MS = 3000;

/** Anything that answers requests; our apps differ in what they know of the connection. */
export interface App {
  fetch(request: Request, env: HttpBindings): Response | Promise<Response>;
}

export interface Listener {
  close(): Promise<void>;
}

/** `reload` takes renewed certificates and CRLs, for every connection from then on. */
export interface TlsListener extends Listener {
  reload(tls: ServerOptions): void;
}

/** Listens on a Unix socket with `mode`; takes over a socket that a dead process left behind. */
export async function listenOnSocket(
  app: App,
  path: string,
  options: { mode: number; gid?: number },
): Promise<Listener> {
  await rm(path, { force: true });
  const server = createHttpServer(OURS, listenerOf(app));
  await listen(server, { path }, path);
  await chmodSocket(path, options);
  return closerOf(server);
}

/** Where to listen; without an address at every one that this server has. */
export interface Where {
  address?: string | undefined;
  port: number;
}

/** Listens with TLS. `strangers`: for whoever comes. Throws Fault `api.listen`. */
export async function listenWithTls(
  app: App,
  options: Where & { tls: ServerOptions; strangers?: boolean },
): Promise<TlsListener> {
  const { tls, strangers = false } = options;
  const limits = strangers ? { ...STRANGERS, handshakeTimeout: STRANGERS_HANDSHAKE_MS } : OURS;
  const server = createHttpsServer({ ...tls, ...limits, minVersion: "TLSv1.2" }, listenerOf(app));
  if (strangers) boundStrangers(server);
  else boundUnknown(server);
  // Garbage on the port ends that connection and nothing else.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await listen(server, whereOf(options), describe(options));
  return {
    ...closerOf(server),
    reload(tls) {
      server.setSecureContext(tls);
      // Whoever was let in under the former CRL has to knock again.
      server.closeIdleConnections();
    },
  };
}

/** Listens without TLS, for whoever comes. Throws Fault `api.listen`. */
export async function listenPlainly(app: App, where: Where): Promise<Listener> {
  const server = createHttpServer(STRANGERS, listenerOf(app));
  boundStrangers(server);
  await listen(server, whereOf(where), describe(where));
  return closerOf(server);
}

/** Turns what a handler threw into an answer. Give it to `app.onError`. */
export function answerFault(error: unknown, log: Log): Response {
  const fault =
    error instanceof Fault ? error : new Fault("internal", messageOf(error), { cause: error });
  if (fault.code === "internal") {
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    log.error(`a request failed: ${fault.message}`, { stack });
  }
  const { code, message, hints } = fault;
  return Response.json({ error: { code, message, hints } }, { status: statusOf(code) });
}

const STATUS: Readonly<Record<string, ContentfulStatusCode>> = {
  "access.required": 401,
  "access.refused": 401,
  "access.expired": 401,
  "access.cross-site": 403,
  "access.role": 403,
  "access.too-fast": 429,
  "api.malformed": 400,
  "api.too-large": 413,
  "events.too-many": 429,
};

function statusOf(code: string): ContentfulStatusCode {
  if (code.startsWith("etcd.") || code.startsWith("peer.")) return 503;
  const known = STATUS[code];
  if (known !== undefined) return known;
  if (code.startsWith("token.") || code.endsWith(".forbidden")) return 403;
  if (code === "member.removed") return 403;
  if (code.endsWith(".not-found")) return 404;
  return code === "internal" ? 500 : 409;
}

function boundStrangers(server: Server): void {
  const ofOne = createRateLimiter(ARRIVALS_OF_ONE);
  const ofAll = createRateLimiter(ARRIVALS_OF_ALL);
  server.maxConnections = STRANGERS_CONNECTIONS_MAX;
  server.maxHeadersCount = STRANGERS_HEADERS_MAX;
  server.setTimeout(STRANGERS_IDLE_MS);
  // Before the handshake.
  const open = new Map<string, number>();
  server.prependListener("connection", (socket: Socket) => {
    const from = sourceOf(plainAddress(socket.remoteAddress));
    const nowMs = monotonicMs();
    const count = open.get(from) ?? 0;
    const mayCome = count < CONNECTIONS_OF_ONE_MAX && ofOne.take(from, nowMs);
    if (!mayCome || !ofAll.take("all", nowMs)) {
      socket.destroy();
      return;
    }
    open.set(from, count + 1);
    socket.once("close", () => {
      const left = (open.get(from) ?? 1) - 1;
      if (left > 0) open.set(from, left);
      else open.delete(from);
    });
  });
}

/** Whoever shows no certificate may call, a few at once: what they send is kept in memory. */
function boundUnknown(server: HttpsServer): void {
  let unknown = 0;
  server.on("secureConnection", (socket) => {
    if (socket.authorized) return;
    if (unknown >= UNKNOWN_MAX) {
      socket.destroy();
      return;
    }
    unknown += 1;
    socket.once("close", () => (unknown -= 1));
  });
}

function whereOf({ address, port }: Where): { port: number; host?: string } {
  return address === undefined ? { port } : { host: address, port };
}

function describe({ address, port }: Where): string {
  return address === undefined ? `port ${port}` : `${address}, port ${port}`;
}

function listenerOf(app: App): RequestListener {
  // Load balancers ask by HTTP/1.0, in which no host need be named.
  const options = { hostname: "localhost" };
  const handle = getRequestListener(
    (request, env) => app.fetch(request, env as HttpBindings),
    options,
  );
  return (incoming, outgoing) => void handle(incoming, outgoing);
}

async function listen(
  server: Server,
  where: { path: string } | { host?: string; port: number },
  what: string,
): Promise<void> {
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        new Fault("api.listen", `can't listen on ${what}: ${messageOf(error)}`, { cause: error }),
      );
    });
    server.listen(where, resolve);
  });
}

function closerOf(server: Server): Listener {
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      setTimeout(() => server.closeAllConnections(), CLOSE_MS).unref();
      await closed;
    },
  };
}
