// Commands that a PuppetDB will never take, kept beside the reason until somebody looks at them.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, writeFileAtomic } from "../host/files.ts";
import type { SpooledHead } from "./frame.ts";

export interface DeadLetters {
  /** Keeps one; resolves when it is on disk. */
  bury(puppetdb: string, head: SpooledHead, body: Buffer, because: string): Promise<void>;
  count(puppetdb: string): Promise<number>;
}

export function createDeadLetters(folder: string): DeadLetters {
  return {
    async bury(puppetdb, head, body, because) {
      const own = join(folder, puppetdb);
      await makeFolder(own, { mode: 0o700 });
      // What tells of it last: one without is not counted, and is written again.
      await writeFileAtomic(join(own, `${head.id}.body`), body, { mode: 0o600 });
      const text = JSON.stringify({ ...head, because });
      await writeFileAtomic(join(own, `${head.id}.json`), text, { mode: 0o600 });
    },
    async count(puppetdb) {
      const names = await readdir(join(folder, puppetdb)).catch(() => []);
      return names.filter((name) => name.endsWith(".json")).length;
    },
  };
}
