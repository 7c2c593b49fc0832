import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, edge, local, NOW_MS, row } from "../cluster/testing/status.ts";
import { isDrained, othersServe } from "./puppetserver-reload.ts";

test("isDrained: no edge sends it anything, and nothing runs there any more", () => {
  const seen = (more: Parameters<typeof row>[1]) =>
    local("s1", { edge: edge({ backends: [row("s2", more), row("s3", { busy: 3 })] }) });
  const drained = seen({ state: "drained" });
  assert.equal(isDrained([drained, undefined], "s2"), true);
  assert.equal(isDrained([drained, seen({ state: "up" })], "s2"), false);
  assert.equal(isDrained([drained, seen({ state: "drained", busy: 1 })], "s2"), false);
  assert.equal(isDrained([seen({ state: "down" })], "s2"), true);
});

test("othersServe doesn't count who is drained, or unfit", () => {
  const members = ["s1", "s2"].map((id) => answer(id).member);
  const drains = [{ id: "s2", by: "ops", at: "", reason: "" }];
  assert.equal(othersServe({ members, work: { drains: [] } }, "s1", NOW_MS), true);
  assert.equal(othersServe({ members, work: { drains } }, "s1", NOW_MS), false);
  assert.equal(othersServe({ members, work: { drains } }, "s2", NOW_MS), true);
  const full = {
    ...answer("s2").member,
    backends: [{ name: "p", port: 1, jrubies: 1, unfit: "x" }],
  };
  const first = answer("s1").member;
  assert.equal(othersServe({ members: [first, full], work: { drains: [] } }, "s1", NOW_MS), false);
});
