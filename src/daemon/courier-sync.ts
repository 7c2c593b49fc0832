// What the commands ask of this server's courier about the sync.

import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { PuppetdbDiff } from "../cluster/sync-status.ts";
import { askCourier } from "./courier-socket.ts";

const ASK_MS = 5000;
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
  const ask = async (method: "GET" | "POST", path: string, code: string, withinMs: number) => {
    try {
      return await askCourier(method, path, withinMs);
    } catch (error) {
      throw new Fault(code, `the courier can't do it: ${messageOf(error)}`, {
        hints: ["Does it run? understudy puppetdb status; journalctl -u understudy-courier"],
      });
    }
  };
  return {
    async sync() {
      const asked = Asked.parse(await ask("POST", "/sync", "puppetdb.courier", ASK_MS));
      if ("id" in asked) return asked;
      throw new Fault("puppetdb.not-synced", `nothing is compared now: ${asked.because}`, {
        hints: ["What is so: understudy puppetdb status"],
      });
    },
    async diff() {
      return PuppetdbDiff.parse(await ask("GET", "/diff", "puppetdb.not-compared", DIFF_MS));
    },
    async trust() {
      await ask("POST", "/accept", "puppetdb.courier", ASK_MS);
    },
  };
}
