// The HTTP of Puppet's certificate authority (puppet-ca/v1, status/v1), as agents and `puppetserver
// ca` speak it. Who may do what is decided before anything else, as in Puppet Server's auth.conf.
// Danger: the caller's identity is in headers; only the edge may reach this.

import { Hono } from "hono";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { wallMs } from "../host/clock.ts";
import { adminRoutes } from "./admin-routes.ts";
import { agentRoutes } from "./agent-routes.ts";
import { bulkRoutes } from "./bulk-routes.ts";
import type { Core } from "./core.ts";
import { forbidden, isUrlName, notFound, segmentsOf, text } from "./http.ts";
import { identify, type Caller } from "./identity.ts";
import type { Operations } from "./operations.ts";
import { statusRoutes } from "./status-routes.ts";
import { isUnreachable } from "./store.ts";

/** What a handler is given. */
export interface Call {
  request: Request;
  url: URL;
  /** The last part of the path, decoded; empty when the route has none. */
  name: string;
  /** Who asks; undefined: nobody who proved it. */
  caller: Caller | undefined;
  core: Core;
  operations: Operations;
}

export interface Route {
  method: (typeof METHODS)[number];
  /** The path below /puppet-ca/v1; `*` is the last part. */
  path: string;
  /** `caller`: whoever has a certificate of ours that is in force. */
  who: "anyone" | "caller" | "admin";
  /** The last part may be anything, not only what can be a name. */
  anyName?: boolean;
  handle: (call: Call) => Promise<Response> | Response;
}

const METHODS = ["GET", "PUT", "POST", "DELETE"] as const;
const BASE = "/puppet-ca/v1/";
const PUPPET_VERSION = "7.23.0";
/** What a change fails with where too few members of etcd answer. */
const QUORUM_LOST = ["etcd.no-quorum", "etcd.unreachable", "etcd.outcome-unknown"];

/** The whole application. */
export function createRoutes(core: Core, operations: Operations): Hono {
  const routes = [...agentRoutes, ...adminRoutes, ...bulkRoutes];
  const app = new Hono();
  app.all("/puppet-ca/*", async (context) => {
    const response = await answer(context.req.raw, routes, core, operations);
    response.headers.set("X-Puppet-Version", core.deps.puppetVersion ?? PUPPET_VERSION);
    return response;
  });
  statusRoutes(app, core);
  app.notFound(() => notFound());
  app.onError((error) => answerError(error, core));
  return app;
}

async function answer(
  request: Request,
  routes: readonly Route[],
  core: Core,
  operations: Operations,
): Promise<Response> {
  const url = new URL(request.url);
  const { pathname } = url;
  try {
    const identified = identify(request.headers, {
      issuer: core.issuer(),
      isRevoked: (serial) => core.mirror.tables.revoked.has(serial),
      nowMs: wallMs(),
    });
    if (identified.who === "garbled") return text(400, identified.because);
    const caller = identified.who === "caller" ? identified.caller : undefined;
    const found = match(routes, request.method, pathname);
    const allowed = found !== undefined && mayCall(found.route, caller);
    if (!allowed) return refuse(routes, request.method, pathname, caller?.admin === true);
    if (!found.route.anyName && found.name !== "" && !isUrlName(found.name)) return notFound();
    return await found.route.handle({ request, url, name: found.name, caller, core, operations });
  } catch (error) {
    return answerError(error, core);
  }
}

function mayCall({ who }: Route, caller: Caller | undefined): boolean {
  if (who === "anyone") return true;
  return caller !== undefined && (who === "caller" || caller.admin);
}

/** The route that `method` and `pathname` mean. Each part is decoded once and compared whole. */
function match(routes: readonly Route[], method: string, pathname: string) {
  const segments = segmentsOf(pathname);
  if (segments === undefined || !pathname.startsWith(BASE)) return undefined;
  const [, , first = "", ...rest] = segments;
  for (const route of routes) {
    if (route.method !== method) continue;
    const [kind, last] = route.path.split("/");
    if (kind !== first || rest.length !== (last === undefined ? 0 : 1)) continue;
    const [name = ""] = rest;
    if (last === undefined || last === "*" || last === name) return { route, name };
  }
  return undefined;
}

function refuse(
  routes: readonly Route[],
  method: string,
  pathname: string,
  isAdmin: boolean,
): Response {
  if (!isAdmin) return forbidden(pathname, method);
  // Administrators may know what there is: which methods a path has, or that it is none.
  const allowed = METHODS.filter((other) => match(routes, other, pathname));
  if (allowed.length === 0) return forbidden(pathname, method);
  if (method === "HEAD") return forbidden(pathname, method);
  return new Response("", { status: 405, headers: { Allow: allowed.join(", ") } });
}

/** What went wrong, for a client that only shows the text. Never Retry-After: agents die of it. */
function answerError(error: unknown, core: Core): Response {
  const { log } = core.deps;
  if (isUnreachable(error)) {
    log.warn("a request was refused: the record can't be changed", { why: messageOf(error) });
    return text(503, cannotChange(error));
  }
  if (isFault(error, "ca.member-certificate")) {
    return text(403, [error.message, ...error.hints].join("\n"));
  }
  if (error instanceof Fault) {
    log.warn(`a request was refused: ${error.code}: ${error.message}`);
    return text(503, [error.message, ...error.hints].join("\n"));
  }
  log.error("a request failed", { why: messageOf(error) });
  return text(500, `Internal Server Error: ${messageOf(error)}`);
}

function cannotChange(error: Fault): string {
  const nothing = "The certificate authority can't change anything now";
  const isQuorum = QUORUM_LOST.some((code) => isFault(error, code));
  if (!isQuorum) return [`${nothing}: ${error.message}`, ...error.hints].join("\n");
  const what = isFault(error, "etcd.outcome-unknown")
    ? "It is not known whether this was done, and it may yet be: look before you repeat it."
    : `${nothing}.`;
  return (
    `${what} etcd has no quorum, what is signed is still served. ` +
    "Which servers are down: understudy member list"
  );
}
