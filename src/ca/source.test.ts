import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceOf } from "./source.ts";

const CASES: [address: string, source: string][] = [
  ["10.0.0.1", "10.0.0.1"],
  ["2001:db8:1:2::1", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"],
  ["2001:db8:1:3::1", "2001:db8:1:3::/64"],
  ["::1", "::/64"],
  ["::ffff:10.0.0.1", "10.0.0.1"],
  ["::ffff:a00:1", "10.0.0.1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["", ""],
  ["10.0.0.1, 10.0.0.2", "10.0.0.1, 10.0.0.2"],
];

for (const [address, source] of CASES) {
  void test(`sourceOf "${address}" is "${source}"`, () => assert.equal(sourceOf(address), source));
}
