import assert from "node:assert/strict";
import { test } from "node:test";
import { createActs } from "./acts.ts";

function setUp() {
  let nowMs = 0;
  const acts = createActs(() => (nowMs += 1));
  return { acts, all: () => acts.list().map((each) => `${each.loop} ${each.do} ${each.times}`) };
}

test("acts.note counts a plan that comes again, and keeps another one", () => {
  const { acts, all } = setUp();
  const plan = [
    { do: "write", because: "a" },
    { do: "reload", because: "b" },
  ];
  acts.note("edge", plan);
  acts.note("edge", []);
  acts.note("edge", plan);
  acts.note("edge", [{ do: "reload", because: "c" }]);
  assert.deepEqual(all(), ["edge write 2", "edge reload 2", "edge reload 1"]);
  assert.deepEqual(acts.list()[0], {
    loop: "edge",
    do: "write",
    because: "a",
    atMs: 1,
    lastMs: 3,
    times: 2,
  });
});

test("acts.note keeps a bounded part of a busy loop, and all of a quiet one", () => {
  const { acts, all } = setUp();
  acts.note("virtual IPs", [{ do: "start", because: "x".repeat(1000) }]);
  for (let count = 0; count < 1000; count += 1) {
    acts.note("edge", [{ do: `act ${count}`, because: "" }]);
  }
  assert.equal(all().length, 41);
  assert.equal(all()[0], "virtual IPs start 1");
  assert.equal(all().at(-1), "edge act 999 1");
  assert.equal(acts.list()[0]?.because.length, 300);
});
