// Which PuppetDB queries went to last, and since when: a courier that starts anew goes on with it
// while it is fit, since another may be a moment behind. And the newest order to use one that was
// followed: each is followed once, so that queries stay where a later failure has moved them.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import type { Choice } from "./fit.ts";

export interface Used {
  choice: Choice | undefined;
  /** The order's mark; empty: none was followed. */
  followed: string;
}

/** What was remembered; of the PuppetDB only if it is still among `puppetdbs`. */
export async function readUsed(path: string, puppetdbs: readonly string[]): Promise<Used> {
  const text = (await readIfThere(path).catch(() => undefined)) ?? "";
  const [id = "", followed = "", at = ""] = text.split("\n");
  const choice = puppetdbs.includes(id) ? { id, atMs: Number(at) || 0 } : undefined;
  return { choice, followed };
}

/** Never throws: what isn't remembered is chosen anew. */
export async function rememberUsed(path: string, used: Used, log: Log): Promise<void> {
  const { choice, followed } = used;
  const text = [choice?.id ?? "", followed, String(choice?.atMs ?? ""), ""].join("\n");
  await writeFileAtomic(path, text, { mode: 0o600 }).catch((error: unknown) => {
    log.warn("which PuppetDB is used can't be kept", { why: messageOf(error) });
  });
}
