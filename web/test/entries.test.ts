// The history of the page, out of parts: with nothing missing between them.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HistoryEntry } from "../../src/cluster/history/entry.ts";
import { type Known, meets, olderOf, withNewest, withOlder } from "../src/entries.ts";

/** Entry `number`, told at the moment of that number unless another is given. */
function entry(number: number, atMs = number): HistoryEntry {
  return {
    atMs,
    member: "s1",
    number,
    kind: "daemon",
    what: `change ${number}`,
    because: "",
    by: "",
  };
}

/** What is told of entries `from` to `to`, oldest first. */
function told(from: number, to: number, { more = from - 1, because = "" } = {}) {
  const entries = Array.from({ length: to - from + 1 }, (_, n) => entry(from + n));
  return { entries, more, because };
}

const numbers = ({ entries }: Known) => entries.map(({ number }) => number);
const known = (from: number, to: number) => withNewest(undefined, told(from, to));

test("withNewest puts what is new before what is known, each once", () => {
  const now = withNewest(known(1, 4), told(3, 6));
  assert.deepEqual(numbers(now), [6, 5, 4, 3, 2, 1]);
  assert.equal(now.more, false);
  assert.equal(withNewest(known(3, 6), told(5, 8)).more, true, "what is known knows of older ones");
});

test("withNewest gives up what is known where others may lie between", () => {
  const now = withNewest(known(1, 4), told(6, 9));
  assert.deepEqual(numbers(now), [9, 8, 7, 6]);
  assert.equal(now.more, true);
  // Nothing older than these: so these are all.
  assert.deepEqual(numbers(withNewest(known(1, 2), told(1, 9))), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
});

test("withNewest mixes what the cluster told with what one member told no more than it must", () => {
  const alone = withNewest(known(1, 4), told(4, 4, { more: 0, because: "no quorum" }));
  assert.deepEqual(numbers(alone), [4]);
  assert.equal(alone.because, "no quorum");
  assert.deepEqual(numbers(withNewest(alone, told(2, 5))), [5, 4, 3, 2]);
  // Why the record can't be read may be another reason at each look.
  const still = withNewest(alone, told(4, 5, { more: 3, because: "no leader" }));
  assert.deepEqual([numbers(still), still.because], [[5, 4], "no leader"]);
  const older = withOlder(still, told(1, 4, { because: "no leader" }));
  const later = withNewest(older, told(5, 6, { because: "no quorum" }));
  assert.deepEqual(numbers(later), [6, 5, 4, 3, 2, 1]);
});

test("olderOf and withOlder lose none of the same moment", () => {
  const same = Array.from({ length: 5 }, (_, n) => entry(n + 1, 7));
  const all = [entry(6), ...same];
  const ask = (query: string) => {
    const wish = new URLSearchParams(query);
    const upTo = all.filter(({ atMs }) => atMs <= Number(wish.get("untilMs")));
    const entries = upTo.slice(-Number(wish.get("limit")));
    return { entries, more: upTo.length - entries.length, because: "" };
  };
  let now = withNewest(undefined, { entries: all.slice(4), more: 4, because: "" });
  for (let pages = 0; now.more && pages < 5; pages += 1) now = withOlder(now, ask(olderOf(now, 1)));
  assert.deepEqual(numbers(now), [5, 4, 3, 2, 1, 6]);
});

test("withOlder takes nothing that lies apart: the newest were asked for anew meanwhile", () => {
  assert.deepEqual(numbers(withOlder(known(500, 503), told(100, 200))), [503, 502, 501, 500]);
  assert.deepEqual(numbers(withOlder(known(500, 503), told(1, 9))), [503, 502, 501, 500]);
});

test("meets tells whether something may have come between", () => {
  const before = told(1, 30).entries;
  assert.equal(meets(before, told(2, 31)), true);
  assert.equal(meets(before, told(31, 60)), false);
  assert.equal(meets([], told(1, 1)), true, "all that there is");
});
