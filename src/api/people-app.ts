// The API for people and scripts: the routes that are offered over the network, each behind a token
// of its role. Danger: whoever reaches the port is a stranger until the token was judged; nothing
// of a request is read before, and no token gets into a log.

import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { mayDo } from "../cluster/access.ts";
import type { Health, HealthCheck } from "../cluster/health.ts";
import { renderMetrics } from "../cluster/metrics.ts";
import { audited } from "./audit.ts";
import { type Dashboard, PAGE_HEADERS, serveDashboard } from "./dashboard.ts";
import { serveHealth } from "./health-app.ts";
import { addressOf, createRateLimiter } from "./limits.ts";
import type { LocalDeps } from "./local-app.ts";
import { METRICS_PATH, OPENAPI_PATH, renderOpenApi } from "./openapi.ts";
import { type Route, serveRoute } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { answerFault } from "./serve.ts";
import { serveSessions } from "./session-routes.ts";
import { createSessions } from "./sessions.ts";
import { type Caller, createSignIns, type SignInDeps, tooFast } from "./sign-in.ts";

const BODY_BYTES_MAX = 1024 * 1024;
const PATH_CHARS_MAX = 200;
/** Requests of one token. */
const REQUESTS = { burst: 100, perS: 20, keysMax: 1000 };
/** Requests of one token that are being answered. */
const RUNNING_MAX = 16;

const READS = new Set(["GET", "HEAD"]);
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export interface PeopleDeps extends SignInDeps {
  log: Log;
  /** What the routes do. */
  commands: LocalDeps;
  health: (check: HealthCheck) => Health;
  /** Whether this address may read the metrics without a token. */
  readsMetrics: (address: string) => boolean;
  /** The page for browsers; absent: there is none here. */
  dashboard?: Dashboard | undefined;
}

/** `page`: what is answered is a browser's page, or a part of it. */
export type PeopleEnv = { Bindings: HttpBindings; Variables: { caller: Caller; page: boolean } };

/** The routes that are offered over the network: a closed list. */
export const OFFERED: readonly Route[] = ROUTES.filter(({ offer }) => offer !== "root");

export function createPeopleApp(deps: PeopleDeps): Hono<PeopleEnv> {
  const app = new Hono<PeopleEnv>();
  const sessions = createSessions();
  const signIns = createSignIns<PeopleEnv>(deps, sessions);
  const requireRate = createRate(deps);
  const document = renderOpenApi(OFFERED);
  frameAnswers(app, deps.log);
  serveHealth(app, deps.health);
  const metrics = async (c: Context<PeopleEnv>) =>
    c.text(renderMetrics(await deps.commands.local()), 200, { "content-type": METRICS_TYPE });
  app.get(METRICS_PATH, async (c, next) => {
    return deps.readsMetrics(addressOf(c.env)) ? metrics(c) : next();
  });

  serveDashboard(app, deps.dashboard, (c) => signIns.admitStranger(c));

  // From here on everybody is known, and nothing of a body is read before.
  app.use(async (c, next) => {
    const caller = signIns.judge(c);
    c.set("caller", caller);
    requireRate(caller.who, c.env.outgoing);
    await next();
  });
  app.use(
    bodyLimit({
      maxSize: BODY_BYTES_MAX,
      onError: () => {
        throw new Fault("api.too-large", `a body may have ${BODY_BYTES_MAX} bytes at most`);
      },
    }),
  );
  serveSessions(app, { ...deps, sessions });
  app.get(METRICS_PATH, metrics);
  app.get(OPENAPI_PATH, (c) => c.json(document));
  for (const route of OFFERED) {
    serveRoute(app, route, {
      deps: deps.commands,
      network: true,
      async around(c, call) {
        const caller = c.get("caller");
        return audited(deps.audit, caller, route, async (about) => {
          requireRole(caller, route);
          return call(caller, about);
        });
      },
    });
  }
  return app;
}

/** Headers that every answer has, and what is answered where something goes wrong. */
function frameAnswers(app: Hono<PeopleEnv>, log: Log): void {
  app.use(async (c, next) => {
    await next();
    const headers = c.get("page") ? PAGE_HEADERS : HEADERS;
    for (const [name, value] of Object.entries(headers)) c.res.headers.set(name, value);
    if (endsConnection(c)) c.res.headers.set("connection", "close");
    if (c.res.status === 401) c.res.headers.set("www-authenticate", 'Bearer realm="understudy"');
  });
  app.onError((error) => answerFault(error, log));
  app.notFound((c) => {
    const asked = `${c.req.method} ${c.req.path.slice(0, PATH_CHARS_MAX)}`;
    const hints = [`What is offered: ${OPENAPI_PATH}`];
    return answerFault(new Fault("api.not-found", `${asked} isn't offered`, { hints }), log);
  });
}

/**
 * What was refused may have a body that nobody has read. And a stranger who asks too often has to
 * knock again, which is limited where nothing was spent on him yet.
 */
function endsConnection(c: Context<PeopleEnv>): boolean {
  const { status } = c.res;
  if (status >= 400 && !READS.has(c.req.method)) return true;
  return status === 429 && c.get("caller") === undefined;
}

/**
 * How often a token may ask, and how much is answered to it at once: a slow reader counts until it
 * has read. Throws Fault `access.too-fast`.
 */
function createRate({ monotonicMs }: PeopleDeps) {
  const requests = createRateLimiter(REQUESTS);
  const running = new Map<string, number>();
  return (who: string, outgoing: HttpBindings["outgoing"]): void => {
    if (!requests.take(who, monotonicMs())) throw tooFast(`${who} asks too often`);
    const count = running.get(who) ?? 0;
    if (count >= RUNNING_MAX) throw tooFast(`${who} has ${count} requests under way`);
    running.set(who, count + 1);
    outgoing.once("close", () => {
      const left = (running.get(who) ?? 1) - 1;
      if (left > 0) running.set(who, left);
      else running.delete(who);
    });
  };
}

/** Throws Fault `access.role`. */
function requireRole({ who, role }: Caller, { offer }: Route): void {
  if (offer !== "root" && mayDo(role, offer)) return;
  throw new Fault("access.role", `this needs the role ${offer}; ${who} is ${role}`);
}
