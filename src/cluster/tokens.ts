// Tokens as commands show them, over the record.

import { Fault } from "../base/fault.ts";
import type { Etcd } from "../etcd/types.ts";
import { deleteToken, readTokens, updateToken } from "./record.ts";
import type { Role } from "./schema.ts";
import { makeToken, renderToken, type TokenRecord, WRONG_SECRETS_MAX } from "./token.ts";

export type TokenState = "unused" | "expired" | "burned" | "in use" | "used";

/** What a token can still be used for. */
export function stateOfToken(token: TokenRecord, nowMs: number): TokenState {
  if (token.finished) return "used";
  if (token.boundTo !== undefined) return "in use";
  if (token.wrongSecrets >= WRONG_SECRETS_MAX) return "burned";
  return nowMs >= token.expiresAtMs ? "expired" : "unused";
}

/** Makes a token and writes it to the record; the text is returned once and kept nowhere. */
export async function createToken(
  etcd: Etcd,
  wish: { role: Role; validMs: number; caHash: string; createdBy: string; nowMs: number },
): Promise<{ id: string; text: string; revision: number }> {
  if (wish.role === "witness") {
    throw new Fault(
      "token.role-reserved",
      "witnesses can't join yet: a token is for a server or a compiler",
    );
  }
  const { token, record } = makeToken(wish);
  const revision = await updateToken(etcd, record.id, () => record);
  return { id: record.id, text: renderToken(token), revision };
}

export async function listTokens(etcd: Etcd, nowMs: number) {
  const tokens = await readTokens(etcd);
  return {
    tokens: tokens
      .toSorted((a, b) => a.createdAt.localeCompare(b.createdAt))
      .map((token) => ({
        id: token.id,
        role: token.role,
        state: stateOfToken(token, nowMs),
        leftMs: Math.max(0, token.expiresAtMs - nowMs),
        createdBy: token.createdBy,
        ...(token.member === undefined ? {} : { member: token.member }),
      })),
  };
}

/** Throws Fault `token.not-found`. */
export async function revokeToken(etcd: Etcd, id: string): Promise<void> {
  if (await deleteToken(etcd, id)) return;
  throw new Fault("token.not-found", `there is no token ${id}`, {
    hints: ["See: understudy token list"],
  });
}

/** The join of `member` has gone through: its token is spent. */
export async function finishToken(etcd: Etcd, member: string): Promise<void> {
  for (const token of await readTokens(etcd)) {
    if (token.member !== member || token.finished) continue;
    await updateToken(etcd, token.id, (current) => current && { ...current, finished: true });
  }
}
