// Signing in to the dashboard and out of it. What a browser keeps is a cookie that opens this
// member's session; the token itself it forgets.

import type { Hono } from "hono";
import { z } from "zod";
import { AccessRole } from "../cluster/access.ts";
import { type Audit, audited } from "./audit.ts";
import type { PeopleEnv } from "./people-app.ts";
import { renderCookie, type Sessions } from "./sessions.ts";
import type { Caller } from "./sign-in.ts";

export const SESSION_PATH = "/session";

/** Who is signed in. */
export const SessionShown = z.object({
  name: z.string(),
  role: AccessRole,
  /** When the token ends. */
  expiresAt: z.string(),
});
export type SessionShown = z.infer<typeof SessionShown>;

/** A session that was just opened. */
export const SessionOpened = SessionShown.extend({
  /**
   * What a request with the cookie shows to change something. It is told this once: whoever has the
   * cookie alone, as what answers on another port of this host may, doesn't get it.
   */
  csrf: z.string(),
});
export type SessionOpened = z.infer<typeof SessionOpened>;

export const SESSION_SUMMARIES = {
  get: "who is signed in",
  post: "open a session with the token: answers with a cookie, and what to show besides",
  delete: "end the session of the cookie",
} as const;

interface SessionDeps {
  audit: Audit;
  sessions: Sessions;
  monotonicMs: () => number;
}

/** Adds them behind the judgement of who asks. */
export function serveSessions(
  app: Hono<PeopleEnv>,
  { audit, sessions, monotonicMs }: SessionDeps,
): void {
  app.get(SESSION_PATH, (c) => c.json(shownOf(c.get("caller"))));
  app.post(SESSION_PATH, async (c) => {
    const caller = c.get("caller");
    const route = { method: "POST", path: SESSION_PATH };
    const { secret, session } = await audited(audit, caller, route, async () =>
      sessions.open(caller.tokenId, monotonicMs()),
    );
    c.header("set-cookie", renderCookie(secret));
    return c.json({ ...shownOf(caller), csrf: session.csrf } satisfies SessionOpened);
  });
  app.delete(SESSION_PATH, async (c) => {
    const caller = c.get("caller");
    const { session } = caller;
    if (session !== undefined) sessions.close(session);
    c.header("set-cookie", renderCookie(undefined));
    return c.json({ done: true });
  });
}

function shownOf({ who, role, expiresAtMs }: Caller): SessionShown {
  return { name: who, role, expiresAt: new Date(expiresAtMs).toISOString() };
}
