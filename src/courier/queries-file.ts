// Which PuppetDB queries went to last: a courier that starts anew goes on with it while it is fit,
// since another may be a moment behind. And the newest order to use one that was followed: each is
// followed once, so that queries stay where a later failure has moved them.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";

export interface Used {
  id: string | undefined;
  /** The order's mark; empty: none was followed. */
  followed: string;
}

/** What was remembered; of the PuppetDB only if it is still among `puppetdbs`. */
export async function readUsed(path: string, puppetdbs: readonly string[]): Promise<Used> {
  const text = (await readIfThere(path).catch(() => undefined)) ?? "";
  const [id = "", followed = ""] = text.split("\n");
  return { id: puppetdbs.includes(id) ? id : undefined, followed };
}

/** Never throws: what isn't remembered is chosen anew. */
export async function rememberUsed(path: string, { id, followed }: Used, log: Log): Promise<void> {
  const text = `${id ?? ""}\n${followed}\n`;
  await writeFileAtomic(path, text, { mode: 0o600 }).catch((error: unknown) => {
    log.warn("which PuppetDB is used can't be kept", { why: messageOf(error) });
  });
}
