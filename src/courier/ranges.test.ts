import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Progress } from "./progress.ts";
import { Ranges } from "./ranges.ts";

void test("Ranges holds the same numbers as a set, in ranges with gaps between them", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40)), fc.nat(45), fc.nat(45), (values, limit, end) => {
      const ranges = new Ranges();
      for (const value of values) ranges.add(value);
      ranges.dropUpTo(limit);
      ranges.dropFrom(end);
      const wanted = new Set(values.filter((value) => value > limit && value < end));
      for (let value = 0; value < 50; value += 1) {
        assert.equal(ranges.has(value), wanted.has(value), `${value}`);
      }
      const list = ranges.list();
      for (const [index, [from, to]] of list.entries()) {
        assert.ok(from <= to && from > (list[index - 1]?.[1] ?? -2) + 1);
      }
      assert.deepEqual(new Ranges(list).list(), list);
    }),
  );
});

void test("Progress moves on over what is done, in whatever order that was, and after a restart", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8]), (order) => {
      let progress = new Progress();
      for (const seq of order) {
        progress.finish(seq);
        progress = new Progress(progress.text());
      }
      const done = new Set(order);
      let upTo = 0;
      while (done.has(upTo + 1)) upTo += 1;
      assert.equal(progress.upTo, upTo);
      for (let seq = 1; seq <= 9; seq += 1) assert.equal(progress.isDone(seq), done.has(seq));
    }),
  );
});

void test("Progress.startAt leaves behind what the spool has no more", () => {
  const progress = new Progress({ upTo: 2, ahead: [[5, 6]] });
  progress.startAt(5);
  assert.equal(progress.upTo, 6);
  progress.startAt(3);
  assert.equal(progress.upTo, 6);
  progress.startAt(10);
  assert.equal(progress.upTo, 9);
});
