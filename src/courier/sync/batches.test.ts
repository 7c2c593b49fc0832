import assert from "node:assert/strict";
import { test } from "node:test";
import { BATCH_CHARACTERS_MAX, BATCH_ITEMS_MAX, batchesOf } from "./batches.ts";
import type { Item } from "./plan.ts";

const item = (kind: Item["kind"], from: string, certname: string): Item => {
  return { kind, from, certname, ms: 0, hides: false };
};

void test("batchesOf keeps the order of kinds, and puts together what one PuppetDB has", () => {
  const items = [
    item("catalog", "s2", "a"),
    item("catalog", "s3", "b"),
    item("catalog", "s2", "c"),
    item("facts", "s2", "a"),
  ];
  const shown = batchesOf(items).map(
    (batch) => `${batch.kind} ${batch.from} ${batch.items.map(({ certname }) => certname).join()}`,
  );
  assert.deepEqual(shown, ["catalog s2 a,c", "catalog s3 b", "facts s2 a"]);
});

void test("batchesOf makes none larger than a query may be, and loses nothing", () => {
  const names = Array.from({ length: 50 }, (_, index) => `${index}${"x".repeat(index * 8)}`);
  const batches = batchesOf(names.map((name) => item("facts", "s2", name)));
  const got = batches.flatMap(({ items }) => items.map(({ certname }) => certname));
  assert.deepEqual(got, names);
  for (const { items } of batches) {
    assert.ok(items.length <= BATCH_ITEMS_MAX);
    const characters = items.reduce((sum, { certname }) => sum + certname.length, 0);
    assert.ok(characters <= BATCH_CHARACTERS_MAX);
  }
});
