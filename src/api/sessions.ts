// Who is signed in to the dashboard here. A session is a token's, in this member's memory alone:
// each request judges that token anew, so a session ends with it. Danger: a browser sends its
// cookie whoever had it ask, so what changes something must show a secret that only our page has.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** With this prefix browsers take a cookie only by TLS, from this host, for all of it. */
export const COOKIE = "__Host-understudy";
/** Where our page shows the session's second secret. */
export const CSRF_HEADER = "x-understudy-csrf";

/** A session ends after so long without a request or an open stream, and in any case. */
export const IDLE_MS = 3_600_000;
export const WHOLE_MS = 12 * 3_600_000;
const SESSIONS_MAX = 500;
const SESSIONS_OF_ONE_MAX = 20;
const SECRET_BYTES = 32;
const SECRET_TEXT = /^[\w-]{43}$/;

export interface Session {
  tokenId: string;
  /** What a request that changes something shows. */
  csrf: string;
  /** Monotonic milliseconds. */
  endsMs: number;
  usedMs: number;
  /** Whether somebody has signed out of it, or it made way for others. */
  closed: boolean;
}

export interface Sessions {
  /** Opens one: what the cookie holds, and the session. The longest unused make way. */
  open(tokenId: string, nowMs: number): { secret: string; session: Session };
  /** The session of a cookie, if it goes on; it counts as used. */
  find(secret: string, nowMs: number): Session | undefined;
  close(session: Session): void;
  size(): number;
}

export function createSessions(): Sessions {
  // By the secret's hash: how long a look-up takes tells nothing of secrets.
  const all = new Map<string, Session>();
  const end = (key: string) => {
    const session = all.get(key);
    if (session !== undefined) session.closed = true;
    all.delete(key);
  };
  const closeOldest = (of: (session: Session) => boolean, most: number) => {
    // An open stream counts as use too, and leaves the order of the table as it is.
    const some = [...all]
      .filter(([, session]) => of(session))
      .toSorted(([, a], [, b]) => a.usedMs - b.usedMs);
    for (const [key] of some.slice(0, Math.max(0, some.length - most))) end(key);
  };
  return {
    open(tokenId, nowMs) {
      const secret = randomBytes(SECRET_BYTES).toString("base64url");
      const csrf = randomBytes(SECRET_BYTES).toString("base64url");
      const session = { tokenId, csrf, endsMs: nowMs + WHOLE_MS, usedMs: nowMs, closed: false };
      for (const [key, each] of all) if (isOver(each, nowMs)) end(key);
      all.set(hashOf(secret), session);
      closeOldest((each) => each.tokenId === tokenId, SESSIONS_OF_ONE_MAX);
      closeOldest(() => true, SESSIONS_MAX);
      return { secret, session };
    },
    find(secret, nowMs) {
      if (!SECRET_TEXT.test(secret)) return undefined;
      const key = hashOf(secret);
      const session = all.get(key);
      if (session === undefined) return undefined;
      if (isOver(session, nowMs)) {
        end(key);
        return undefined;
      }
      session.usedMs = nowMs;
      return session;
    },
    close(session) {
      for (const [key, each] of all) if (each === session) end(key);
    },
    size: () => all.size,
  };
}

/** The secret in a Cookie header; undefined: there is none. */
export function readCookie(header: string | undefined): string | undefined {
  const pairs = (header ?? "").split(";").map((pair) => pair.trim());
  const found = pairs.find((pair) => pair.startsWith(`${COOKIE}=`));
  return found?.slice(COOKIE.length + 1);
}

/** The Set-Cookie header; without a secret it takes the cookie away. */
export function renderCookie(secret: string | undefined): string {
  const rest = "Path=/; Secure; HttpOnly; SameSite=Strict";
  return secret === undefined ? `${COOKIE}=; Max-Age=0; ${rest}` : `${COOKIE}=${secret}; ${rest}`;
}

/** What a request with a cookie tells of where it comes from. */
export interface Origin {
  method: string;
  /** Sec-Fetch-Site, which browsers set and pages can't. */
  site: string | undefined;
  /** What it shows in CSRF_HEADER. */
  shown: string | undefined;
}

const READS = new Set(["GET", "HEAD"]);

/** Why a request with a cookie isn't our own page's; empty: it is, or it was typed. */
export function foreignBecause({ method, site, shown }: Origin, csrf: string): string {
  if (site !== undefined && site !== "same-origin" && site !== "none") {
    return `another site's page has asked (${site})`;
  }
  if (READS.has(method) || isSame(shown ?? "", csrf)) return "";
  return `the header ${CSRF_HEADER} isn't this session's`;
}

function isOver({ endsMs, usedMs }: Session, nowMs: number): boolean {
  return nowMs >= endsMs || nowMs - usedMs >= IDLE_MS;
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function isSame(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(left)), Buffer.from(hashOf(right)));
}
