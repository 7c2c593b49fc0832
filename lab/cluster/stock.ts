// Puppet Server as Debian packages it, before or beside our own package.

import assert from "node:assert/strict";
import type { LabHost } from "../host.ts";

const START_MS_MAX = 320_000;

/**
 * Starts puppetserver, or restarts it. As an administrator would, once more where that fails:
 * Debian's unit gives up at times on a busy machine (the package's drop-in for it says why).
 */
export async function startStock(
  host: LabHost,
  verb: "start" | "restart" = "start",
): Promise<void> {
  for (const each of [verb, "start"]) {
    const command = `systemctl ${each} puppetserver`;
    if ((await host.exec(command, { withinMs: START_MS_MAX })).ok) return;
  }
  assert.fail(await host.run("journalctl -u puppetserver -o cat -n 40 --no-pager"));
}
