// What the commands ask of this server's courier about the sync.

import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { shareNext } from "../base/share-next.ts";
import { PuppetdbDiff } from "../cluster/sync-status.ts";
import { askCourierJson } from "../setup/courier-client.ts";

const ORDER = { order: {}, withinMs: 5000 };
const DIFF_MS = 600_000;

const Asked = z.union([z.object({ id: z.string() }), z.object({ because: z.string() })]);

/** What was asked of the sync here. */
export interface SyncCommands {
  /** Has a round run now. Throws Fault `puppetdb.not-synced`, `puppetdb.courier`. */
  sync(): Promise<{ id: string }>;
  /** Throws Fault `puppetdb.not-compared`. */
  diff(): Promise<PuppetdbDiff>;
  /** This server's PuppetDB counts as level. Throws Fault `puppetdb.courier`. */
  trust(): Promise<void>;
}

export function syncCommands(): SyncCommands {
  const ask = async (path: string, code: string, asking: Parameters<typeof askCourierJson>[1]) => {
    try {
      return await askCourierJson(path, asking);
    } catch (error) {
      throw new Fault(code, `the courier can't do it: ${messageOf(error)}`, {
        hints: ["Does it run? understudy puppetdb status; journalctl -u understudy-courier"],
      });
    }
  };
  // It reads every PuppetDB, and many may ask.
  const diff = shareNext(async () =>
    PuppetdbDiff.parse(await ask("/diff", "puppetdb.not-compared", { withinMs: DIFF_MS })),
  );
  return {
    async sync() {
      const asked = Asked.parse(await ask("/sync", "puppetdb.courier", ORDER));
      if ("id" in asked) return asked;
      throw new Fault("puppetdb.not-synced", `nothing is compared now: ${asked.because}`, {
        hints: ["What is so: understudy puppetdb status"],
      });
    },
    diff,
    async trust() {
      await ask("/accept", "puppetdb.courier", ORDER);
    },
  };
}
