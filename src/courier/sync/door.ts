// What the courier's own socket takes about the sync: whoever may open it is this server's daemon.

import type { PuppetDbClient } from "../puppetdb-client.ts";
import { readDiff } from "./diff.ts";
import type { Sync } from "./sync.ts";

/** What is asked of the courier. */
export interface Syncing {
  sync: Sync | undefined;
  answering(): PuppetDbClient[];
}

/** The answer to a request about the sync; undefined: it is about something else. */
export async function answerSync(
  courier: Syncing,
  request: { method: string; path: string; signal: AbortSignal },
): Promise<object | undefined> {
  const { sync } = courier;
  const { method, path, signal } = request;
  if (method === "GET" && path === "/diff") return readDiff(courier.answering(), signal);
  if (method !== "POST") return undefined;
  if (path === "/sync")
    return sync?.ask() ?? { because: "this server has no PuppetDB with a database of its own" };
  if (path !== "/accept") return undefined;
  await sync?.accept();
  return {};
}
