// Which PuppetDB queries went to last: a courier that starts anew goes on with it while it is fit,
// since another may be a moment behind.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";

/** The one that was remembered, if it is still among `puppetdbs`. */
export async function readUsed(
  path: string,
  puppetdbs: readonly string[],
): Promise<string | undefined> {
  const id = (await readIfThere(path).catch(() => undefined))?.trim();
  return id !== undefined && puppetdbs.includes(id) ? id : undefined;
}

/** Never throws: what isn't remembered is chosen anew. */
export async function rememberUsed(path: string, id: string, log: Log): Promise<void> {
  await writeFileAtomic(path, `${id}\n`, { mode: 0o600 }).catch((error: unknown) => {
    log.warn("which PuppetDB is used can't be kept", { why: messageOf(error) });
  });
}
