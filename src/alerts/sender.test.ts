import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { emptyMessage } from "./outbox.ts";
import { createSender } from "./sender.ts";
import { NO_ALERTS } from "./state.ts";
import { fileStore } from "./store.ts";

void test("createSender sends once what was taken while nobody could write that down", async (t) => {
  const nowMs = 1_800_000_000_000;
  const folder = await mkdtemp(join(tmpdir(), "understudy-sender-"));
  t.after(async () => rm(folder, { recursive: true }));
  const log = createLog(() => undefined);
  const kept = await fileStore(join(folder, "alerts.json"), log);
  await kept.change(() => ({ ...NO_ALERTS, outbox: [emptyMessage("ops", "1", nowMs)] }));
  let writable = true;
  const sent: string[] = [];
  const sender = createSender({
    store: {
      read: async () => kept.read(),
      change: async (by) => {
        if (!writable) throw new Error("no quorum");
        return kept.change(by);
      },
    },
    self: "s1",
    send: async ({ id }) => {
      sent.push(id);
      writable = false;
      return { ok: true, because: "" };
    },
    onDone: () => undefined,
    wallMs: () => nowMs,
    log,
  });
  await sender.tick();
  await sender.idle();
  await assert.rejects(sender.tick(), /no quorum/);
  writable = true;
  await sender.tick();
  await sender.idle();
  assert.deepEqual(sent, ["1"]);
  assert.deepEqual((await kept.read()).outbox, []);
});
