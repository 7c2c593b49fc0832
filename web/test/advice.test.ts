// The dashboard's advice beside the page that it quotes and the kinds that there are.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { WARNING_KINDS } from "../../src/cluster/warning.ts";
import { inOrder, parseKinds, partsOf, topicOf } from "../src/advice.ts";

const PAGE = await readFile(join(import.meta.dirname, "../../docs/alerts.md"), "utf8");

test("parseKinds has what to do for every kind of warning, and for nothing else", () => {
  const kinds = parseKinds(PAGE);
  assert.deepEqual([...kinds.keys()].toSorted(), Object.keys(WARNING_KINDS).toSorted());
  for (const todo of kinds.values()) assert.ok(todo !== "");
});

test("topicOf asks about what the warning is of", () => {
  const ids = ["s1.example.com"];
  const cases: [string, string | undefined, string][] = [
    ["puppetdb-unfit", "s1.example.com", "puppetdb"],
    ["courier-down", "s1.example.com", "puppetdb"],
    ["address-nobody", "10.0.0.10", "vip"],
    ["edge-down", "s1.example.com", "s1.example.com"],
    ["etcd-no-quorum", undefined, "not-ready"],
    ["expiry-near", "Puppet CA", "not-ready"],
  ];
  for (const [kind, subject, topic] of cases) assert.equal(topicOf({ kind, subject }, ids), topic);
});

test("partsOf tells code from words", () => {
  assert.deepEqual(partsOf("type `a b` or `c`"), [
    { text: "type ", code: false },
    { text: "a b", code: true },
    { text: " or ", code: false },
    { text: "c", code: true },
  ]);
});

test("inOrder has what is critical first, and keys that stay when words change", () => {
  const of = (kind: string, subject: string | undefined, severity: string) => ({
    kind,
    subject,
    severity,
  });
  const told = inOrder([
    of("clock-off", "s1", "warning"),
    of("member-troubled", "s2", "warning"),
    of("etcd-no-quorum", undefined, "critical"),
    of("member-troubled", "s2", "warning"),
  ]);
  assert.deepEqual(
    told.map(({ key }) => key),
    ["etcd-no-quorum  0", "clock-off s1 0", "member-troubled s2 0", "member-troubled s2 1"],
  );
});
