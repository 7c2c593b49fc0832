import assert from "node:assert/strict";
import { test } from "node:test";
import { edge, local, row } from "../cluster/testing/status.ts";
import { isDrained } from "./puppetserver-reload.ts";

test("isDrained: no edge sends it anything, and nothing runs there any more", () => {
  const seen = (more: Parameters<typeof row>[1]) =>
    local("s1", { edge: edge({ backends: [row("s2", more), row("s3", { busy: 3 })] }) });
  const drained = seen({ state: "drained" });
  assert.equal(isDrained([drained, undefined], "s2"), true);
  assert.equal(isDrained([drained, seen({ state: "up" })], "s2"), false);
  assert.equal(isDrained([drained, seen({ state: "drained", busy: 1 })], "s2"), false);
  assert.equal(isDrained([seen({ state: "down" })], "s2"), true);
});
