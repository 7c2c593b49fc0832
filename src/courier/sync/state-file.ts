// What is known of the sync, kept on disk: a courier that starts anew goes on with it. Danger: that
// nodes are missing is on disk before anything is brought, or a crash would let a PuppetDB answer
// that is half full.

import { z } from "zod";
import { SyncRound, SyncStatus } from "../../cluster/sync-status.ts";
import { messageOf } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { readIfThere, writeFileAtomic } from "../../host/files.ts";

const Kept = z.object({
  standing: SyncStatus.shape.standing,
  /** Nodes that queries miss here. */
  lacks: z.int(),
  /** When PuppetDB's process started, by its own word: what is known is known of that one. */
  startedMs: z.number().optional(),
  /** A comparison is owed: it answers without one, or seems to have lost something. */
  owed: z.boolean(),
  /** An administrator takes it as it is, until it was level or down. */
  accepted: z.boolean(),
  last: SyncRound.optional(),
});
export type KeptSync = z.infer<typeof Kept>;

const NOTHING: KeptSync = { standing: "unknown", lacks: 0, owed: false, accepted: false };

/** What can't be read counts for nothing. */
export async function readKeptSync(path: string, log: Log): Promise<KeptSync> {
  try {
    const text = await readIfThere(path);
    return text === undefined ? NOTHING : Kept.parse(JSON.parse(text));
  } catch (error) {
    log.warn("what is known of the sync can't be read: it begins anew", { why: messageOf(error) });
    return NOTHING;
  }
}

/** Throws what the disk refuses. */
export async function writeKeptSync(path: string, kept: KeptSync): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(kept)}\n`, { mode: 0o600 });
}
