import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { createRandom } from "./random.ts";
import { createTurns } from "./turns.ts";

const KINDS = ["a", "b", "c", "d", "e"];

test("createTurns lets every kind come once before any comes again, whatever found nothing to hit", () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.boolean(), { maxLength: 60 }), (seed, hits) => {
      const turns = createTurns(KINDS, createRandom(seed));
      const done: string[] = [];
      for (const hit of hits) {
        const kind = turns.next();
        if (!hit) continue;
        turns.done(kind);
        done.push(kind);
      }
      for (let at = 0; at < done.length; at += KINDS.length) {
        const round = done.slice(at, at + KINDS.length);
        assert.equal(new Set(round).size, round.length);
      }
      assert.deepEqual(
        turns.missing(),
        KINDS.filter((kind) => !done.includes(kind)),
      );
    }),
  );
});

test("createTurns gives the same order for the same seed", () => {
  const orderOf = (seed: number) => {
    const turns = createTurns(KINDS, createRandom(seed));
    return Array.from({ length: 20 }, () => {
      const kind = turns.next();
      turns.done(kind);
      return kind;
    });
  };
  assert.deepEqual(orderOf(7), orderOf(7));
  assert.notDeepEqual(orderOf(7), orderOf(8));
});
