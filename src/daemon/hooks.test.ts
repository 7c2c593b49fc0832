import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { entryOf } from "../cluster/history/entry.ts";
import { createHooks } from "../hooks/hooks.ts";
import { hookCommands, hookEvent } from "./hooks.ts";

const HOST = { id: "s1", keeper: { current: () => undefined }, leads: () => true };
const FROM = { member: "s1", number: 7 };
const AT_MS = Date.parse("2026-11-20T12:00:00Z");

test("hookEvent gives what history tells, by names that stay", () => {
  const draft = { kind: "address", event: "address-gained", subject: "10.0.0.10" } as const;
  const entry = entryOf(
    { ...draft, what: "s1 holds 10.0.0.10", by: "keepalived", atMs: AT_MS },
    FROM,
  );
  assert.deepEqual(hookEvent(entry, HOST), {
    event: "address-gained",
    at: "2026-11-20T12:00:00.000Z",
    body: {
      version: 1,
      event: "address-gained",
      kind: "address",
      subject: "10.0.0.10",
      what: "s1 holds 10.0.0.10",
      because: "",
      by: "keepalived",
      member: "s1",
      at: "2026-11-20T12:00:00.000Z",
      shared: false,
      server: "s1",
      leads: true,
      cluster: "",
    },
  });
});

test("hookEvent says when other members tell the same, and of what there is no name its kind", () => {
  const seen = { subject: "setting voters", state: "5" };
  const entry = entryOf({ kind: "setting", what: "voters is 5", seen, atMs: AT_MS }, FROM);
  const { event, body } = hookEvent(entry, HOST);
  assert.deepEqual([event, body["subject"], body["shared"]], ["setting", "s1", true]);
});

test("an event that there isn't can't be tried, and the message names those there are", async () => {
  const hooks = createHooks({
    folder: "/nowhere",
    owner: 0,
    withinMs: 1,
    runner: async () => ({ by: "nobody", because: "" }),
    onOutcome: () => undefined,
    monotonicMs: () => 0,
  });
  const commands = hookCommands(hooks, HOST);
  await assert.rejects(
    async () => commands.test({ event: "toString" }),
    (error) => isFault(error, "hooks.event") && error.hints.join().includes("member-down"),
  );
  assert.deepEqual((await commands.test({ event: "member-down" })).results, []);
});
