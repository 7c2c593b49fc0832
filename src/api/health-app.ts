// The health endpoints: the status code is the contract, the rest is for people. Anybody may ask,
// with or without TLS; so nothing is asked for an answer, and nothing is told that isn't public.

import type { HttpBindings } from "@hono/node-server";
import { type Env, Hono } from "hono";
import { z } from "zod";
import { HEALTH_CHECKS, type Health, type HealthCheck } from "../cluster/health.ts";
import { monotonicMs } from "../host/clock.ts";
import { addressOf, createRateLimiter, sourceOf } from "./limits.ts";

/** Checks of one address: a balancer asks every second or two. */
const CHECKS = { burst: 200, perS: 50, keysMax: 10_000 };

export const HealthAnswer = z.object({
  check: z.enum(HEALTH_CHECKS),
  ok: z.boolean(),
  because: z.string(),
});

export const healthPath = (check: HealthCheck) => `/health/${check}`;

/** What each check tells, for the description of the API. */
export const HEALTH_SUMMARIES: Record<HealthCheck, string> = {
  live: "the daemon's control loop goes round",
  ready: "this member does all that its role is for, and stays",
  edge: "agents are taken here",
  ca: "the certificate authority serves here",
  puppetdb: "the courier here has a PuppetDB that answers queries",
  leader: "this member runs the cluster's chores",
};

interface HttpEnv extends Env {
  Bindings: HttpBindings;
}

/** The endpoints alone. */
export function createHealthApp(health: (check: HealthCheck) => Health): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  serveHealth(app, health);
  return app;
}

/** Adds GET and HEAD of every check. */
export function serveHealth<E extends HttpEnv>(
  app: Hono<E>,
  health: (check: HealthCheck) => Health,
): void {
  const checks = createRateLimiter(CHECKS);
  for (const check of HEALTH_CHECKS) {
    app.get(healthPath(check), (c) => {
      c.header("cache-control", "no-store");
      if (!checks.take(sourceOf(addressOf(c.env)), monotonicMs())) {
        c.header("connection", "close");
        return c.json({ check, ok: false, because: "too many checks from this address" }, 429);
      }
      const { ok, because } = health(check);
      return c.json({ check, ok, because }, ok ? 200 : 503);
    });
  }
}
