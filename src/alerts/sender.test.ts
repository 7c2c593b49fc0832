import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { emptyMessage } from "./outbox.ts";
import { createSender } from "./sender.ts";
import { NO_ALERTS } from "./state.ts";
import { memoryStore } from "./store.ts";

void test("createSender sends once what was taken while nobody could write that down", async () => {
  const nowMs = 1_800_000_000_000;
  const memory = memoryStore();
  await memory.change(() => ({ ...NO_ALERTS, outbox: [emptyMessage("ops", "1", nowMs)] }));
  let writable = true;
  const sent: string[] = [];
  const sender = createSender({
    store: {
      read: async () => memory.read(),
      change: async (by) => {
        if (!writable) throw new Error("no quorum");
        return memory.change(by);
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
    log: createLog(() => undefined),
  });
  await sender.tick();
  await sender.idle();
  await assert.rejects(sender.tick(), /no quorum/);
  writable = true;
  await sender.tick();
  await sender.idle();
  assert.deepEqual(sent, ["1"]);
  assert.deepEqual((await memory.read()).outbox, []);
});
