// Who asks over the network: by a token in each request, or by the cookie of a session that was
// opened with one. Danger: until this has judged it, nothing of a request is read.

import type { HttpBindings } from "@hono/node-server";
import type { Context, Env } from "hono";
import { Fault } from "../base/fault.ts";
import {
  type AccessList,
  type AccessRole,
  decideSignIn,
  decideStay,
  type SignIn,
} from "../cluster/access.ts";
import type { Audit, AuditCaller } from "./audit.ts";
import { addressOf, createRateLimiter, sourceOf } from "./limits.ts";
import {
  CSRF_HEADER,
  foreignBecause,
  readCookie,
  type Session,
  type Sessions,
} from "./sessions.ts";

/** Sign-ins of one address that fail. A right token is never kept out by them. */
const FAILURES = { burst: 10, perS: 0.2, keysMax: 10_000 };
/** Requests of one address without a good token. */
const STRANGERS = { burst: 200, perS: 50, keysMax: 10_000 };
/** Failures that are audited, of all addresses together. */
const FAILURES_TOLD = { burst: 100, perS: 1, keysMax: 1 };

const HINTS = [
  "Send the header Authorization: Bearer TOKEN",
  "Tokens are made on a server, as root: understudy access create NAME --role viewer",
];

/** Who asks, once the token was judged. */
export interface Caller extends AuditCaller {
  role: AccessRole;
  tokenId: string;
  /** Wall time, milliseconds. */
  expiresAtMs: number;
  /** Absent: the token came with the request. */
  session?: Session;
  /** Whether he still may what he may now; a stream asks from time to time. */
  stays: () => boolean;
}

export interface SignInDeps {
  audit: Audit;
  /** Who may ask, as this member knows it. */
  tokens: () => AccessList;
  /** Told of every token that is let in. */
  used: (name: string) => void;
  /** Told of every token that isn't. */
  refused: () => void;
  wallMs: () => number;
  monotonicMs: () => number;
}

interface HttpEnv extends Env {
  Bindings: HttpBindings;
}

export interface SignIns<E extends HttpEnv> {
  /** Judges who asks. Throws a Fault `access.…`. */
  judge(c: Context<E>): Caller;
  /** Counts a request that anybody may make. Throws Fault `access.too-fast`. */
  admitStranger(c: Context<E>): void;
}

export function createSignIns<E extends HttpEnv>(deps: SignInDeps, sessions: Sessions): SignIns<E> {
  const { tokens, used, wallMs, monotonicMs } = deps;
  const strangers = createRateLimiter(STRANGERS);
  const admitStranger = (c: Context<E>) => {
    const from = sourceOf(addressOf(c.env));
    if (!strangers.take(from, monotonicMs())) throw tooFast("too many requests");
  };
  const refuse = createRefusal<E>(deps, admitStranger);
  return {
    admitStranger,
    judge(c) {
      const from = addressOf(c.env);
      const authorization = c.req.header("authorization");
      const session =
        authorization === undefined ? sessionOf(c, sessions, monotonicMs()) : undefined;
      const said =
        session === undefined
          ? decideSignIn(tokens(), authorization, wallMs())
          : decideStay(tokens(), session.tokenId, wallMs());
      if (!said.ok) {
        if (session !== undefined) sessions.close(session);
        return refuse(c, said);
      }
      const { id: tokenId, name: who, role, expiresAtMs } = said;
      used(who);
      if (session !== undefined) requireOurPage(c, session);
      const stays = () => {
        const now = decideStay(tokens(), tokenId, wallMs());
        return now.ok && now.role === role && (session === undefined || goesOn(session));
      };
      // An open stream is use: whoever looks at it isn't gone.
      const goesOn = (session: Session) => {
        session.usedMs = monotonicMs();
        return session.usedMs < session.endsMs && !session.closed;
      };
      return { who, role, from, tokenId, expiresAtMs, ...(session && { session }), stays };
    },
  };
}

function sessionOf<E extends HttpEnv>(
  c: Context<E>,
  sessions: Sessions,
  nowMs: number,
): Session | undefined {
  const secret = readCookie(c.req.header("cookie"));
  return secret === undefined ? undefined : sessions.find(secret, nowMs);
}

/** Throws Fault `access.cross-site`. */
function requireOurPage<E extends HttpEnv>(c: Context<E>, { csrf }: Session): void {
  const { method } = c.req;
  const site = c.req.header("sec-fetch-site");
  const because = foreignBecause({ method, site, shown: c.req.header(CSRF_HEADER) }, csrf);
  if (because === "") return;
  throw new Fault("access.cross-site", `a session is for the dashboard's own page: ${because}`, {
    hints: ["Scripts send a token instead: Authorization: Bearer TOKEN"],
  });
}

/** Refuses: bounded in number and noted, with nothing of what was sent. */
function createRefusal<E extends HttpEnv>(
  { audit, refused, monotonicMs }: SignInDeps,
  admitStranger: (c: Context<E>) => void,
) {
  const failures = createRateLimiter(FAILURES);
  const told = createRateLimiter(FAILURES_TOLD);
  return (c: Context<E>, { code, because }: SignIn & { ok: false }): never => {
    const from = addressOf(c.env);
    admitStranger(c);
    if (code !== "access.required") {
      refused();
      if (!failures.take(sourceOf(from), monotonicMs())) throw tooFast("too many wrong tokens");
      if (told.take("all", monotonicMs())) {
        const what = `${c.req.method} ${c.req.path}`;
        const nobody = { who: "-", role: "-", from };
        audit.note({ ...nobody, what, about: "", outcome: "refused", code, tookMs: 0 });
      }
    }
    throw new Fault(code, because, { hints: HINTS });
  };
}

export function tooFast(why: string): Fault {
  return new Fault("access.too-fast", `${why}: wait some seconds`);
}
