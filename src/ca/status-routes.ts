// Status as Puppet's command line reads it, and the health check of the edge.

import type { Hono } from "hono";
import { canSign, type Core } from "./core.ts";
import { json, notFound, text } from "./http.ts";

/**
 * The level of Puppet Server's CA API that is implemented. From 8.4.0 on, clients use `POST sign`.
 */
const SERVICE_VERSION = "8.4.0";

/** Adds /status/v1 and /health/ca to `app`. */
export function statusRoutes(app: Hono, core: Core): void {
  app.get("/status/v1/simple", () => simple(core));
  app.get("/status/v1/simple/:service", (context) => {
    const service = context.req.param("service");
    return service === "ca" ? simple(core) : text(404, `not found: ${service.slice(0, 100)}`);
  });
  app.get("/status/v1/services", () => json(200, { ca: service(core) }));
  app.get("/status/v1/services/:service", (context) => {
    const name = context.req.param("service");
    if (name === "ca") return json(200, { ...service(core), service_name: "ca" });
    const msg = `No status information found for service ${name.slice(0, 100)}`;
    return json(404, { kind: "service-not-found", msg });
  });
  app.get("/health/ca", () =>
    canRead(core) ? text(200, "ok") : text(503, "no certificate authority is loaded here yet"),
  );
  // Where a change should go: an agent's request would wait here for an administrator.
  app.get("/health/ca/sign", () =>
    canRead(core) && canSign(core) ? text(200, "ok") : text(503, "this server can't sign now"),
  );
  app.all("/health/*", () => notFound());
}

/** Whether certificates and the CRL can be served, with etcd or without. */
function canRead(core: Core): boolean {
  return core.publisher.crl() !== undefined;
}

function simple(core: Core): Response {
  return canRead(core) ? text(200, "running") : text(503, "starting");
}

function service(core: Core) {
  return {
    service_version: SERVICE_VERSION,
    service_status_version: 1,
    detail_level: "info",
    state: canRead(core) ? "running" : "starting",
    status: {},
    active_alerts: [],
  };
}
