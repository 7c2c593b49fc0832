import assert from "node:assert/strict";
import { test } from "node:test";
import { isBelow, parseWritable } from "./writable.ts";

test("parseWritable reads what systemd shows of a unit, marks left out", () => {
  assert.deepEqual(parseWritable("/etc/understudy -/etc/puppet +/srv -+/x"), [
    "/etc/understudy",
    "/etc/puppet",
    "/srv",
    "/x",
  ]);
  assert.deepEqual(parseWritable(""), []);
});

test("isBelow is about whole names", () => {
  assert.ok(isBelow("/etc/puppet/ca", "/etc/puppet") && isBelow("/etc/puppet", "/etc/puppet"));
  assert.ok(!isBelow("/etc/puppetlabs", "/etc/puppet") && !isBelow("/etc", "/etc/puppet"));
  assert.ok(isBelow("/a", "/"));
});
