// Join tokens (decision 12): U1.ROLE.ID.SECRET.CAHASH. The hash of the control CA lets the joiner
// check whom it talks to before it sends anything; the secret is stored hashed; the first use binds
// the token to the joiner's key, so that an interrupted join goes on and nobody else can use it.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { Role } from "./schema.ts";

/** This many wrong secrets burn a token. */
export const WRONG_SECRETS_MAX = 5;
const SECRET_BYTES = 32;

/** A token in the record (`understudy/tokens/<id>`). */
export const TokenRecord = z.object({
  id: z.string().regex(/^[0-9a-f]{12}$/),
  role: Role,
  /** SHA-256 of the secret, hex. The secret has 256 random bits, so no slow hash is needed. */
  secretHash: z.string().regex(/^[0-9a-f]{64}$/),
  createdAt: z.string(),
  createdBy: z.string(),
  /** Wall time, milliseconds. */
  expiresAtMs: z.int(),
  wrongSecrets: z.int().default(0),
  /** SHA-256 of the joiner's control key (SPKI), hex, once it was used. */
  boundTo: z.string().optional(),
  /** The member that it made, once used. */
  member: z.string().optional(),
  /** Whether that member has gone through all of join. */
  finished: z.boolean().default(false),
});
export type TokenRecord = z.infer<typeof TokenRecord>;

/** What a token's text says. */
export interface Token {
  role: Role;
  id: string;
  secret: string;
  /** SHA-256 of the control CA's certificate (DER), base64url. */
  caHash: string;
}

const ROLE_LETTERS: Record<Role, string> = { server: "s", compiler: "c", witness: "w" };

export function renderToken(token: Token): string {
  return `U1.${ROLE_LETTERS[token.role]}.${token.id}.${token.secret}.${token.caHash}`;
}

/** Reads a token's text. Throws Fault `token.malformed`, which never repeats the text. */
export function parseToken(text: string): Token {
  const match = /^U1\.([scw])\.([0-9a-f]{12})\.([\w-]{43})\.([\w-]{43})$/.exec(text.trim());
  const [, letter, id, secret, caHash] = match ?? [];
  const role = Role.options.find((name) => ROLE_LETTERS[name] === letter);
  if (!role || !id || !secret || !caHash) {
    throw new Fault(
      "token.malformed",
      "that is no join token: it starts with U1. and has five parts",
      {
        hints: ["Make a new one on a server of the cluster: understudy token create"],
      },
    );
  }
  return { role, id, secret, caHash };
}

/** Makes a token and what the record keeps of it. */
export function makeToken(options: {
  role: Role;
  caHash: string;
  createdBy: string;
  nowMs: number;
  validMs: number;
}): { token: Token; record: TokenRecord } {
  const id = randomBytes(6).toString("hex");
  const secret = randomBytes(SECRET_BYTES).toString("base64url");
  return {
    token: { role: options.role, id, secret, caHash: options.caHash },
    record: {
      id,
      role: options.role,
      secretHash: hashSecret(secret),
      createdAt: new Date(options.nowMs).toISOString(),
      createdBy: options.createdBy,
      expiresAtMs: options.nowMs + options.validMs,
      wrongSecrets: 0,
      finished: false,
    },
  };
}

export type TokenVerdict =
  | { do: "refuse"; code: string; because: string; countWrong: boolean }
  | { do: "bind" }
  | { do: "resume"; member: string };

/**
 * What becomes of a join with `secret` and the joiner's key `keyHash` (SHA-256 of its SPKI, hex).
 */
export function decideToken(
  record: TokenRecord | undefined,
  use: { secret: string; keyHash: string; role: Role; nowMs: number },
): TokenVerdict {
  const refuse = (code: string, because: string, countWrong = false): TokenVerdict => ({
    do: "refuse",
    code,
    because,
    countWrong,
  });
  if (record === undefined) return refuse("token.unknown", "this cluster has no such token");
  // Once a join has begun, its key guards the token: guesses must not stop it half-way.
  const guarded = record.boundTo !== undefined;
  if (!guarded && record.wrongSecrets >= WRONG_SECRETS_MAX) {
    return refuse("token.burned", `the token was burned by ${WRONG_SECRETS_MAX} wrong secrets`);
  }
  if (!sameHash(record.secretHash, hashSecret(use.secret))) {
    return refuse("token.wrong-secret", "the token's secret is wrong", !guarded);
  }
  if (record.role !== use.role) {
    return refuse("token.role", `the token is for a ${record.role}, not for a ${use.role}`);
  }
  if (record.boundTo !== undefined) {
    if (record.boundTo !== use.keyHash) {
      const as = record.member === undefined ? "" : `, which came in as ${record.member}`;
      return refuse("token.used", `the token was already used by another server${as}`);
    }
    // A join that has begun may go on after the token's expiry: its key is already known. Whoever
    // admits it looks that the member is still there.
    return { do: "resume", member: record.member ?? "" };
  }
  if (use.nowMs >= record.expiresAtMs) {
    return refuse(
      "token.expired",
      `the token expired at ${new Date(record.expiresAtMs).toISOString()}`,
    );
  }
  return { do: "bind" };
}

export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

function sameHash(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left, "hex"), Buffer.from(right, "hex"));
}
