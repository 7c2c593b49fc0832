import assert from "node:assert/strict";
import { test } from "node:test";
import { readDeletion } from "./deletion.ts";

void test("readDeletion takes PuppetDB's own form, and nothing else", () => {
  const act = (value: unknown) => readDeletion(Buffer.from(JSON.stringify(value)), 7);
  const good = { command: "delete", version: 1, payload: { certname: "a.test" } };
  assert.deepEqual(act(good), {
    ok: true,
    head: { kind: "deletion", certname: "a.test", producerMs: 7, query: "" },
  });
  const cases: [unknown, number][] = [
    [{ ...good, command: "clean", payload: ["purge_nodes"] }, 501],
    [{ ...good, version: 2 }, 400],
    [{ ...good, payload: {} }, 400],
    [{ ...good, payload: { certname: "" } }, 400],
    [{ ...good, payload: { certname: "a\nb" } }, 400],
    [{ ...good, payload: { certname: "a".repeat(251) } }, 400],
    [[good], 400],
    ["x", 400],
  ];
  for (const [value, status] of cases) {
    const read = act(value);
    assert.equal(read.ok ? 200 : read.status, status, JSON.stringify(value));
  }
  assert.equal(readDeletion(Buffer.from("{"), 7).ok, false);
});
