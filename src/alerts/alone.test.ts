import assert from "node:assert/strict";
import { test } from "node:test";
import { type Alone, ALONE_MS, decideAlone, NOT_ALONE } from "./alone.ts";

/** Servers that can't reach a record; which of them tells what, tick by tick. */
function servers(...ids: string[]) {
  const known = new Map<string, Alone>(ids.map((id) => [id, NOT_ALONE]));
  let atMs = 0;
  return {
    forget: (id: string) => known.set(id, NOT_ALONE),
    look(afterMs: number, writable: boolean, answering: readonly string[] = ids) {
      atMs += afterMs;
      const seen = answering.map((id) => ({ id, told: known.get(id)?.told === true }));
      return answering.flatMap((self) => {
        const sight = { self, writable, answering: seen, atMs };
        const { now, tell } = decideAlone(known.get(self) ?? NOT_ALONE, sight);
        known.set(self, now);
        return tell === undefined ? [] : [`${self} ${tell}`];
      });
    },
  };
}

test("decideAlone has the first server that answers tell once, and that it is over", () => {
  const all = servers("s1", "s2", "s3");
  assert.deepEqual(all.look(0, true), []);
  assert.deepEqual(all.look(1000, false, ["s2", "s3"]), []);
  assert.deepEqual(all.look(ALONE_MS, false, ["s2", "s3"]), ["s2 lost"]);
  assert.deepEqual(all.look(ALONE_MS * 9, false, ["s2", "s3"]), []);
  all.look(1000, true, ["s2", "s3"]);
  assert.deepEqual(all.look(ALONE_MS, true, ["s2", "s3"]), ["s2 back"]);
  assert.deepEqual(all.look(ALONE_MS, true), []);
});

test("decideAlone says nothing of an election", () => {
  const all = servers("s1", "s2");
  all.look(0, false);
  assert.deepEqual(all.look(ALONE_MS - 1, false), []);
  assert.deepEqual(all.look(1, true), []);
  assert.deepEqual(all.look(ALONE_MS * 2, true), []);
});

test("decideAlone doesn't have the next one tell when the one that told dies", () => {
  const all = servers("s1", "s2", "s3");
  all.look(0, false);
  assert.deepEqual(all.look(ALONE_MS, false), ["s1 lost"]);
  all.look(1000, false);
  assert.deepEqual(all.look(ALONE_MS * 3, false, ["s2", "s3"]), []);
});

test("decideAlone has each part of a cluster that is cut in pieces tell for itself", () => {
  const all = servers("s1", "s2", "s3");
  for (const id of ["s1", "s2", "s3"]) all.look(0, false, [id]);
  const told = ["s1", "s2", "s3"].flatMap((id) => all.look(ALONE_MS, false, [id]));
  assert.deepEqual(told, ["s1 lost", "s2 lost", "s3 lost"]);
});
