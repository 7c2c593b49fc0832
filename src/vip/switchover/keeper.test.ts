// What a keeper finds when it is started; that it keeps connections is in lab/scenarios.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../../base/log.ts";
import { exists } from "../../host/files.ts";
import { runKeeper } from "./keeper.ts";
import { type Order, type Progress, switchoverPaths } from "./order.ts";

/** Of an address that nobody has, with no connection to keep: nothing of this machine changes. */
function orderOf(id: string): Order {
  const moves = [{ address: "192.0.2.10", interface: "lo" }];
  return { id, side: "old", stand: "first", moves, limitS: 60 };
}

test("runKeeper puts back what one that was killed at its end had not, before it begins the next", async () => {
  const folder = await mkdtemp(join(tmpdir(), "keeper-"));
  try {
    const paths = switchoverPaths("old", folder);
    await mkdir(paths.folder);
    const ended: Progress = {
      order: orderOf("one"),
      phase: "ended",
      because: "its connections have ended",
      before: { sysctls: {}, priority: 100 },
      sinceMs: 0,
      endsAtMs: 0,
      connections: 0,
    };
    const marker = join(folder, "undone");
    await writeFile(paths.undo("one"), `echo undone >> ${marker}\nrm -f ${paths.undo("one")}\n`);
    await writeFile(paths.progress, JSON.stringify(ended));
    await writeFile(paths.order, JSON.stringify(orderOf("two")));
    const options = { folder, vipFolder: folder, log: createLog(() => undefined) };
    await runKeeper("old", { ...options, signal: AbortSignal.abort() });
    assert.equal(await readFile(marker, "utf8"), "undone\n");
    assert.equal(await exists(paths.undo("one")), false);
    const { order } = JSON.parse(await readFile(paths.ended, "utf8")) as Progress;
    assert.equal(order.id, "two", "it has taken the next one up");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
