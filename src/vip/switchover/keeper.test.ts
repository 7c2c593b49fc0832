// What a keeper finds when it is started; that it keeps connections is in lab/scenarios.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../../base/log.ts";
import { exists } from "../../host/files.ts";
import { runKeeper } from "./keeper.ts";
import { type Order, type Progress, switchoverPaths } from "./order.ts";
import { untilPhase } from "./tell.ts";

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

test("runKeeper says how many connections stay as soon as the addresses have left", async () => {
  const folder = await mkdtemp(join(tmpdir(), "keeper-"));
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  try {
    await once(client, "connect");
    const paths = switchoverPaths("old", folder);
    await mkdir(paths.folder);
    // To the kernel it is on lo alone, as after keepalived has let go.
    const kept = { own: "127.0.0.1", peer: "127.0.0.1" };
    const moves = [{ address: "127.0.0.1", interface: "eth0", kept }];
    const moving: Progress = {
      order: { ...orderOf("one"), moves },
      phase: "moving",
      because: "told to",
      before: { sysctls: {}, priority: 0 },
      sinceMs: 0,
      endsAtMs: Number.MAX_SAFE_INTEGER,
      connections: 0,
    };
    await writeFile(paths.progress, JSON.stringify(moving));
    await writeFile(paths.order, JSON.stringify(moving.order));
    const stop = new AbortController();
    const onStep = async (what: string) => {
      if (what === "end") throw new Error("killed");
    };
    const options = { folder, vipFolder: folder, log: createLog(() => undefined), onStep };
    const running = runKeeper("old", { ...options, signal: stop.signal });
    const killed = assert.rejects(running, /killed/);
    const { connections } = await untilPhase(paths, "one", ["moved"], { withinMs: 10_000 });
    stop.abort();
    await killed;
    assert.ok(connections > 0, `${connections} connections`);
  } finally {
    client.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
