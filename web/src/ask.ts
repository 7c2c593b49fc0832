// Asks this member's API. What goes wrong comes as one kind of error, and one function puts it into
// words; nothing else in the dashboard knows of HTTP.

import type { SessionShown } from "../../src/api/session-routes.ts";
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
export const session = signal<SessionShown | null | undefined>(null);

/** Shows that a request is this page's own; see src/api/sessions.ts. */
const CSRF_HEADER = "x-understudy-csrf";

type Method = "GET" | "POST" | "DELETE";

/** The answer to one request. Throws Refusal. */
export async function ask<T>(method: Method, path: string, body?: unknown): Promise<T> {
  return request<T>(method, path, body === undefined ? undefined : JSON.stringify(body), {});
}

/** Opens a session with a token, which is kept nowhere. Throws Refusal. */
export async function signIn(token: string): Promise<void> {
  // A header can't hold everything that can be pasted.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new Refusal("access.refused", "this is no access token: it begins with UA1.");
  }
  const authorization = `Bearer ${token}`;
  session.value = await request<SessionShown>("POST", "/session", undefined, { authorization });
}

/** What was shown goes at once; it comes back where the session couldn't be ended. */
export async function signOut(): Promise<void> {
  const before = session.value;
  session.value = undefined;
  try {
    const headers = { [CSRF_HEADER]: before?.csrf ?? "" };
    await request("DELETE", "/session", undefined, headers);
  } catch (error) {
    session.value = before;
    throw error;
  }
}

/** Looks whether the cookie still opens a session. */
export async function findSession(): Promise<void> {
  try {
    session.value = await ask<SessionShown>("GET", "/session");
  } catch (error) {
    if (!(error instanceof Refusal) || !SIGNED_OUT.has(error.code)) throw error;
    session.value = undefined;
  }
}

const UNREACHABLE = "unreachable";
/** What says that there is no session any more. */
const SIGNED_OUT = new Set(["access.required", "access.refused", "access.expired"]);

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
  const { error } = said as { error?: { code: string; message: string; hints?: string[] } };
  if (answer.status === 401 && session.value) session.value = undefined;
  throw new Refusal(error?.code ?? "internal", error?.message ?? answer.statusText, error?.hints);
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
  "access.cross-site": ["Load this page anew."],
  "ca.not-here": ["Open the dashboard of a server: this member holds no certificate authority."],
  "config.changed": ["Somebody else has changed them meanwhile: load them anew."],
};
