// The listeners of the control API. A Fault becomes the same JSON body everywhere; its code decides
// the status. Danger: Node's server closes idle connections after 5 s by default, the edge's after
// longer.

import { rm } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer, type ServerOptions } from "node:https";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { chmodSocket } from "../host/sockets.ts";

const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 20_000;
const REQUEST_MS = 120_000;

/** How long a closing listener waits for requests that are running. */
const CLOSE_MS = 3000;

/** Anything that answers requests; our apps differ in what they know of the connection. */
interface App {
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
  const server = createHttpServer({ keepAliveTimeout: KEEP_ALIVE_MS }, listenerOf(app));
  await listen(server, { path }, path);
  await chmodSocket(path, options);
  return closerOf(server);
}

/** Listens with TLS. Throws Fault `api.listen`. */
export async function listenWithTls(
  app: App,
  options: { address: string; port: number; tls: ServerOptions },
): Promise<TlsListener> {
  const server = createHttpsServer(
    { ...options.tls, keepAliveTimeout: KEEP_ALIVE_MS, minVersion: "TLSv1.2" },
    listenerOf(app),
  );
  // Garbage on the port ends that connection and nothing else.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  await listen(server, { host: options.address, port: options.port }, String(options.port));
  return {
    ...closerOf(server),
    reload(tls) {
      server.setSecureContext(tls);
      // Whoever was let in under the former CRL has to knock again.
      server.closeIdleConnections();
    },
  };
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

function statusOf(code: string): ContentfulStatusCode {
  if (code.startsWith("etcd.") || code.startsWith("peer.")) return 503;
  if (code.startsWith("token.") || code.endsWith(".forbidden")) return 403;
  if (code === "member.removed") return 403;
  if (code.endsWith(".not-found")) return 404;
  return code === "internal" ? 500 : 409;
}

function listenerOf(app: App): RequestListener {
  const handle = getRequestListener((request, env) => app.fetch(request, env as HttpBindings));
  return (incoming, outgoing) => void handle(incoming, outgoing);
}

async function listen(
  server: Server,
  where: { path: string } | { host: string; port: number },
  what: string,
): Promise<void> {
  server.headersTimeout = HEADERS_MS;
  server.requestTimeout = REQUEST_MS;
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
