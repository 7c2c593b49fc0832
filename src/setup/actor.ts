// Who is behind a command, told to the daemon with it: for the history, not for any right. Whoever
// reaches the daemon's socket is root.

import { readWho } from "../host/who.ts";

export const ACTOR_HEADER = "understudy-actor";
const ACTOR_MAX = 100;

/** The header's value: one that HTTP takes, whatever the user's name. */
export async function actorHeader(): Promise<string> {
  return encodeURIComponent((await readWho()).slice(0, ACTOR_MAX));
}

/** The user that a header names: "root (alice)", or "root" alone. */
export function actorFrom(header: string | undefined): string {
  const name = decode(header ?? "").slice(0, ACTOR_MAX);
  return name === "" || name === "root" ? "root" : `root (${name})`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
