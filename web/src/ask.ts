// Asks this member's API. What goes wrong comes as one kind of error, and one function puts it into
// words; nothing else in the dashboard knows of HTTP.

import type { SessionOpened, SessionShown } from "../../src/api/session-routes.ts";
import { signal } from "@preact/signals";

/** Longest wait for an answer: a revocation asks every edge. */
const ANSWER_MS_MAX = 120_000;

/** What was refused, or failed. */
export class Refusal extends Error {
  readonly code: string;
  readonly hints: readonly string[];

  constructor(code: string, message: string, hints: readonly string[] = []) {
    super(message);
    this.code = code;
    this.hints = hints;
  }
}

/** Who is signed in; undefined: nobody; null: it isn't known yet. */
export const session = signal<SessionOpened | null | undefined>(null);

/** Whether the session that was shown has ended by itself. */
export const ended = signal(false);
/** The newest change that nothing was answered to, until it is known to be seen. */
export const unanswered = signal<Refusal | undefined>(undefined);
/** Why somebody couldn't be signed out: the page was away meanwhile. */
export const stillIn = signal<unknown>(undefined);

/** Shows that a request is this page's own; see src/api/sessions.ts. */
const CSRF_HEADER = "x-understudy-csrf";
/**
 * Where what it shows is kept for the next visit and other tabs. A browser keeps this apart by
 * port, which it doesn't do with cookies: what else runs on this host never sees it.
 */
const CSRF_KEPT = "understudy-csrf";

type Method = "GET" | "POST" | "DELETE";

/** The answer to one request. Throws Refusal. */
export async function ask<T>(method: Method, path: string, body?: unknown): Promise<T> {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  if (method === "GET" || path.endsWith("/plan")) return request<T>(method, path, sent, {});
  try {
    const answer = await request<T>(method, path, sent, {});
    unanswered.value = undefined;
    return answer;
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== UNREACHABLE) throw error;
    const why = "this member hasn't answered: what was asked for may be done or not";
    unanswered.value = new Refusal(UNREACHABLE, why, [
      "Look whether it is so before you ask again. Any other member shows the same.",
    ]);
    throw unanswered.value;
  }
}

/** Opens a session with a token, which is kept nowhere. Throws Refusal. */
export async function signIn(token: string): Promise<void> {
  // A header can't hold everything that can be pasted.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Refusal("access.refused", "this is no access token: it begins with UA1.");
  }
  const authorization = `Bearer ${token}`;
  const opened = await request<SessionOpened>("POST", "/session", undefined, { authorization });
  keep(opened.csrf);
  ended.value = false;
  unanswered.value = stillIn.value = undefined;
  session.value = opened;
}

/** What was shown goes at once; it comes back where the session couldn't be ended: `stillIn`. */
export async function signOut(): Promise<void> {
  const before = session.value;
  unanswered.value = stillIn.value = undefined;
  session.value = undefined;
  try {
    const headers = { [CSRF_HEADER]: before?.csrf ?? "" };
    await request("DELETE", "/session", undefined, headers);
  } catch (error) {
    if (!isSignedOut(error)) {
      stillIn.value = error;
      session.value = before;
      return;
    }
  }
  forget(before?.csrf ?? "");
}

/**
 * Looks whether the cookie still opens a session. Where the browser has lost what goes with it,
 * somebody has to sign in again.
 */
export async function findSession(): Promise<void> {
  try {
    const shown = await ask<SessionShown>("GET", "/session");
    const csrf = kept() || session.value?.csrf;
    session.value = csrf === undefined ? undefined : { ...shown, csrf };
  } catch (error) {
    if (!isSignedOut(error)) throw error;
    session.value = undefined;
  }
}

function isSignedOut(error: unknown): boolean {
  return error instanceof Refusal && SIGNED_OUT.has(error.code);
}

function kept(): string {
  try {
    return localStorage.getItem(CSRF_KEPT) ?? "";
  } catch {
    // A browser may be told to keep nothing.
    return "";
  }
}

function keep(csrf: string): void {
  try {
    localStorage.setItem(CSRF_KEPT, csrf);
  } catch {
    // Then this page has it until it is closed.
  }
}

/** Another tab may have opened another session meanwhile: that one's stays. */
function forget(csrf: string): void {
  if (kept() === csrf && csrf !== "") localStorage.removeItem(CSRF_KEPT);
}

const UNREACHABLE = "unreachable";
/** What says that there is no session any more. */
const SIGNED_OUT = new Set(["access.required", "access.refused", "access.expired"]);
/** What says that the cookie is another session's than what was shown with it. */
const NOT_OURS = "access.cross-site";

async function request<T>(
  method: Method,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<T> {
  const csrf = session.value?.csrf;
  const shown = csrf === undefined ? headers : { ...headers, [CSRF_HEADER]: csrf };
  const signal = AbortSignal.timeout(ANSWER_MS_MAX);
  let answer: Response;
  let said: unknown;
  try {
    const sent = body === undefined ? {} : { body };
    answer = await fetch(path, { method, headers: shown, signal, cache: "no-store", ...sent });
    said = await answer.json();
  } catch {
    throw new Refusal(UNREACHABLE, "this member doesn't answer", [
      "Its daemon may be starting anew. Any other member shows the same: try its address.",
    ]);
  }
  if (answer.ok) return said as T;
  const refusal = refusalOf(answer, said);
  if (answer.status === 401 && session.value) {
    session.value = undefined;
    ended.value = true;
  }
  if (refusal.code === NOT_OURS && csrf !== undefined) forget(csrf);
  throw refusal;
}

/** Throws Refusal with why `path`, which goes on answering, isn't given; ends it where it is. */
export async function requireGiven(path: string): Promise<void> {
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, AbortSignal.timeout(ANSWER_MS_MAX)]);
  const answer = await fetch(path, { signal, cache: "no-store" }).catch(() => undefined);
  if (answer === undefined) return;
  if (answer.ok) end.abort();
  else throw refusalOf(answer, await answer.json().catch(() => ({})));
}

function refusalOf({ statusText }: Response, said: unknown): Refusal {
  const { error } = said as { error?: { code: string; message: string; hints?: string[] } };
  return new Refusal(error?.code ?? "internal", error?.message ?? statusText, error?.hints);
}

/** What went wrong, for people: a sentence, and what to do. */
export function wordsOf(error: unknown): { text: string; hints: readonly string[] } {
  if (!(error instanceof Refusal)) {
    return { text: `The page itself failed: ${String(error)}`, hints: ["Load it anew."] };
  }
  const { code, message, hints } = error;
  const ways = [...(WAYS[code] ?? []), ...hints];
  const text = `${message.charAt(0).toUpperCase()}${message.slice(1)}.`.replace(/\.\.$/, ".");
  return { text: code === UNREACHABLE ? text : `${text} (${code})`, hints: ways };
}

/** What somebody at this page can do; commands need a server. */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  "access.too-fast": ["Wait some seconds and try again."],
  [NOT_OURS]: ["Load this page anew: it asks to sign in where it has to."],
  "ca.not-here": ["Open the dashboard of a server: this member holds no certificate authority."],
  "config.changed": ["The text has theirs now, with yours over it: show anew what would change."],
};
