// All progress of a courier in one file, written now and then: what is lost of it is delivered
// again, which PuppetDB doesn't mind.

import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import { Progress } from "./progress.ts";

const SAVE_EVERY_MS = 1000;

const Text = z.record(
  z.string(),
  z.record(z.string(), z.object({ upTo: z.int(), ahead: z.array(z.tuple([z.int(), z.int()])) })),
);

export interface ProgressFile {
  /** How far the spool of `origin` ("": this courier's own) has come towards a PuppetDB. */
  of(origin: string, puppetdb: string): Progress;
  /** It is to be written. */
  changed(): void;
  save(): Promise<void>;
}

/** Opens the file at `path`; one that can't be read counts for nothing. Saves until `signal`. */
export async function openProgressFile(
  path: string,
  { log, signal }: { log: Log; signal: AbortSignal },
): Promise<ProgressFile> {
  const known = new Map<string, Map<string, Progress>>();
  try {
    const text = Text.parse(JSON.parse((await readIfThere(path)) ?? "{}"));
    for (const [origin, targets] of Object.entries(text)) {
      const entries = Object.entries(targets).map(
        ([id, progress]) => [id, new Progress(progress)] as const,
      );
      known.set(origin, new Map(entries));
    }
  } catch (error) {
    log.warn("what was delivered isn't known: all is delivered again", { why: messageOf(error) });
  }
  let dirty = false;
  const save = async () => {
    if (!dirty) return;
    dirty = false;
    const text = Object.fromEntries(
      [...known].map(([origin, targets]) => [
        origin,
        Object.fromEntries([...targets].map(([id, progress]) => [id, progress.text()])),
      ]),
    );
    await writeFileAtomic(path, JSON.stringify(text), { mode: 0o600 }).catch((error: unknown) => {
      dirty = true;
      log.warn("how far deliveries have come can't be kept", { why: messageOf(error) });
    });
  };
  void (async () => {
    while (!signal.aborted) {
      await pause(SAVE_EVERY_MS, signal);
      await save();
    }
  })();
  return {
    of(origin, puppetdb) {
      const targets = known.get(origin) ?? new Map<string, Progress>();
      known.set(origin, targets);
      const progress = targets.get(puppetdb) ?? new Progress();
      targets.set(puppetdb, progress);
      return progress;
    },
    changed: () => void (dirty = true),
    save,
  };
}
