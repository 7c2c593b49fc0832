// Access tokens: who may use the API over the network, as what. UA1.ID.SECRET, of which the record
// has the secret's hash only. The secret has 256 random bits: nobody guesses one, so a fast hash is
// right, and a slow one would let strangers cost us time. Pure.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import type { Expiry, ExpiryKind } from "./expiry.ts";

/** From the least to the most that a token may be for. */
export const ACCESS_ROLES = ["viewer", "operator", "admin"] as const;
export const AccessRole = z.enum(ACCESS_ROLES);
export type AccessRole = z.infer<typeof AccessRole>;

/** How many tokens there may be: every member keeps all of them in memory. */
export const ACCESS_TOKENS_MAX = 100;

export const AccessName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, {
  error: "not a name: up to 64 lower-case letters, digits, '.', '_' and '-'",
});

const SECRET_BYTES = 32;
const TOKEN_TEXT = /^UA1\.([0-9a-f]{12})\.([\w-]{43})$/;
/** What an unknown id is compared with, so that it takes as long as a known one. */
const NOBODYS_HASH = "0".repeat(64);

/** A token in the record; what a version to come adds to one is kept. */
export const AccessToken = z.looseObject({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  name: AccessName,
  /** A role that isn't known here may do nothing here. */
  role: z.string(),
  /** SHA-256 of the secret, hex. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.string(),
  /** The member where it was made. */
  createdBy: z.string(),
  /** Wall time, milliseconds. */
  expiresAtMs: z.int(),
});
export type AccessToken = z.infer<typeof AccessToken>;

/** All tokens, in one key: so their names are unique and their number is bounded by one compare. */
export const AccessList = z.object({ tokens: z.array(AccessToken) });
export type AccessList = z.infer<typeof AccessList>;

/** Makes a token: its text, which is kept nowhere, and what the record keeps of it. */
export function makeAccessToken(wish: {
  name: string;
  role: AccessRole;
  validMs: number;
  createdBy: string;
  nowMs: number;
}): { text: string; token: AccessToken } {
  const id = randomBytes(6).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  const { name, role, createdBy, nowMs, validMs } = wish;
  return {
    text: `UA1.${id}.${secret}`,
    token: {
      id,
      name,
      role,
      secretHash: hashOf(secret),
      createdAt: new Date(nowMs).toISOString(),
      createdBy,
      expiresAtMs: nowMs + validMs,
    },
  };
}

/**
 * The list with `token` in it. An expired one of its name makes way, and where there is no room all
 * expired ones do. Throws Fault `access.taken`, `access.too-many`.
 */
export function withAccessToken(list: AccessList, token: AccessToken, nowMs: number): AccessList {
  const others = list.tokens.filter((each) => each.name !== token.name || each.expiresAtMs > nowMs);
  if (others.some(({ name }) => name === token.name)) {
    throw new Fault("access.taken", `there is a token of the name ${token.name}`, {
      hints: [`Choose another name, or end that one first: understudy access revoke ${token.name}`],
    });
  }
  const full = others.length >= ACCESS_TOKENS_MAX;
  const kept = full ? others.filter(({ expiresAtMs }) => expiresAtMs > nowMs) : others;
  if (kept.length >= ACCESS_TOKENS_MAX) {
    throw new Fault("access.too-many", `there are ${ACCESS_TOKENS_MAX} tokens: no more may be`, {
      hints: ["End those that nobody uses: understudy access list"],
    });
  }
  return { tokens: [...kept, token].toSorted((a, b) => a.name.localeCompare(b.name)) };
}

/** Throws Fault `access.not-found`. */
export function withoutAccessToken(list: AccessList, name: string): AccessList {
  const tokens = list.tokens.filter((each) => each.name !== name);
  if (tokens.length < list.tokens.length) return { tokens };
  throw new Fault("access.not-found", `there is no token of the name ${name}`, {
    hints: ["See: understudy access list"],
  });
}

/** Who signs in, or why nobody does. `id` is the token's. */
export type SignIn =
  | { ok: true; id: string; name: string; role: AccessRole; expiresAtMs: number }
  | { ok: false; code: "access.required" | "access.refused" | "access.expired"; because: string };

const UNKNOWN = {
  ok: false,
  code: "access.refused",
  because: "this access token isn't known here",
} as const;

/** Judges an Authorization header; what it says is never repeated. */
export function decideSignIn(
  list: AccessList,
  authorization: string | undefined,
  nowMs: number,
): SignIn {
  if (authorization === undefined) {
    return { ok: false, code: "access.required", because: "this needs an access token" };
  }
  const text = /^Bearer +([^ ]+) *$/i.exec(authorization)?.[1] ?? "";
  const [, id = "", secret = ""] = TOKEN_TEXT.exec(text) ?? [];
  const found = list.tokens.find((each) => each.id === id);
  const same = sameHash(found?.secretHash ?? NOBODYS_HASH, hashOf(secret));
  return same ? decideStay(list, id, nowMs) : UNKNOWN;
}

/** Judges whether somebody who signed in with the token `id` is still who he was. */
export function decideStay(list: AccessList, id: string, nowMs: number): SignIn {
  const found = list.tokens.find((each) => each.id === id);
  const role = AccessRole.safeParse(found?.role).data;
  if (found === undefined || role === undefined) return UNKNOWN;
  const { name, expiresAtMs } = found;
  if (nowMs < expiresAtMs) return { ok: true, id, name, role, expiresAtMs };
  const when = new Date(expiresAtMs).toISOString();
  return { ok: false, code: "access.expired", because: `this access token ended at ${when}` };
}

/** Whether a token for `role` may do what one for `needed` may. */
export function mayDo(role: AccessRole, needed: AccessRole): boolean {
  return ACCESS_ROLES.indexOf(role) >= ACCESS_ROLES.indexOf(needed);
}

/** A token of a shorter life is somebody's for the day: its end is no news. */
const LASTING_MS = 30 * 86_400_000;

/** Tokens whose end somebody should know of in time; what has ended nobody waits for. */
export function accessExpiries({ tokens }: AccessList, nowMs: number): Expiry[] {
  return tokens.flatMap(({ name, createdAt, expiresAtMs }) => {
    const lasts = expiresAtMs - Date.parse(createdAt);
    if (!(lasts >= LASTING_MS) || expiresAtMs <= nowMs) return [];
    const to = new Date(expiresAtMs).toISOString();
    return [{ kind: "access-token" satisfies ExpiryKind, what: name, from: createdAt, to }];
  });
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function sameHash(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left, "hex"), Buffer.from(right, "hex"));
}
