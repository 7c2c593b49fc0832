import assert from "node:assert/strict";
import { test } from "node:test";
import type { Item } from "./plan.ts";
import { createTriedMemory } from "./tried.ts";

const item: Item = { kind: "catalog", certname: "a.test", from: "s2", ms: 1, hides: false };

void test("TriedMemory lets nothing be sent again that was taken or refused, until it is newer", () => {
  const tried = createTriedMemory(() => undefined);
  assert.equal(tried.of(item), undefined);
  tried.note(item, { final: true, because: "not kept" });
  assert.equal(tried.of(item), "not kept");
  assert.equal(tried.of({ ...item, from: "s3" }), "not kept");
  assert.equal(tried.of({ ...item, kind: "facts" }), undefined);
  assert.equal(tried.of({ ...item, ms: 2 }), undefined);
  tried.forget();
  assert.equal(tried.of(item), undefined);
});

void test("TriedMemory gives what PuppetDB didn't answer about a second try", () => {
  const tried = createTriedMemory(() => undefined);
  tried.note(item, { final: false, because: "no answer" });
  assert.equal(tried.of(item), undefined);
  tried.note(item, { final: false, because: "no answer" });
  assert.equal(tried.of(item), "no answer");
});

void test("TriedMemory tells reports of a node apart", () => {
  const tried = createTriedMemory(() => undefined);
  const report: Item = { ...item, kind: "report", hash: "1" };
  tried.note(report, { final: true, because: "not kept" });
  assert.equal(tried.of(report), "not kept");
  assert.equal(tried.of({ ...report, hash: "2" }), undefined);
});

void test("TriedMemory knows which nodes were deleted since", () => {
  const tried = createTriedMemory((certname) => (certname === "a.test" ? 5 : undefined));
  for (const ms of [1, 5]) assert.match(tried.of({ ...item, ms }) ?? "", /deleted since/);
  assert.equal(tried.of({ ...item, ms: 6 }), undefined);
  assert.equal(tried.of({ ...item, certname: "b.test" }), undefined);
});
