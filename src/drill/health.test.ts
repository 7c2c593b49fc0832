import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, edge, judge, local, row, silent, three } from "../cluster/testing/status.ts";
import { changedStates, notBack, stillWorse, watchedStates } from "./health.ts";

const whole = judge(three());

test("stillWorse finds nothing where all is as it was, however often it is asked", () => {
  assert.deepEqual(stillWorse(whole, judge(three())), []);
});

test("stillWorse names who is silent, what is tolerated less, and warnings that are new", () => {
  const worse = stillWorse(
    whole,
    judge([answer("s1"), answer("s2"), silent("s3")], { answering: 2 }),
  );
  assert.match(worse.join("\n"), /0 failures are tolerated, not 1/);
  assert.match(worse.join("\n"), /s3 doesn't answer/);
  const down = judge(three("s2", { edge: edge({ active: false, because: "dead" }) }));
  assert.match(stillWorse(whole, down).join("\n"), /s2's edge is down: dead/);
});

test("stillWorse minds no warning that was there before with other numbers", () => {
  const ofClock = (warning: string) => judge(three("s2", { warnings: [warning] }));
  assert.deepEqual(
    stillWorse(ofClock("its disk has 12 MB left"), ofClock("its disk has 9 MB left")),
    [],
  );
  assert.equal(stillWorse(whole, ofClock("its disk has 9 MB left")).length, 1);
});

test("stillWorse takes the same warning of another member for a new one", () => {
  const ofClock = (id: string) => judge(three(id, { warnings: ["its clock is 3 s off"] }));
  assert.deepEqual(stillWorse(ofClock("s1"), ofClock("s2")), ["s2: its clock is 3 s off"]);
});

test("notBack names addresses that a server had before, wherever they are by now", () => {
  const moved = judge([
    answer("s1", local("s1", { addresses: [] })),
    answer("s2", local("s2", { addresses: ["10.0.0.10"] })),
    answer("s3"),
  ]);
  assert.deepEqual(notBack(whole, moved, "s1"), ["10.0.0.10 isn't back at s1"]);
  assert.deepEqual(notBack(whole, moved, "s2"), []);
  assert.deepEqual(notBack(whole, whole, "s1"), []);
  assert.deepEqual(notBack(whole, judge([silent("s1"), answer("s2"), answer("s3")]), "s1"), [
    "10.0.0.10 isn't back at s1",
  ]);
});

test("changedStates tells who took an address, and what an edge sees", () => {
  const before = watchedStates(whole);
  const moved = judge([
    answer("s1", local("s1", { addresses: [] })),
    answer("s2", local("s2", { addresses: ["10.0.0.10"] })),
    answer("s3", local("s3", { edge: edge({ backends: [row("s1", { state: "down" })] }) })),
  ]);
  const changes = changedStates(before, watchedStates(moved));
  assert.deepEqual(changes.toSorted(), [
    "s1 holds no address",
    "s2 holds 10.0.0.10",
    "s3's edge sees s1's puppetserver as down",
  ]);
});

test("changedStates of a member that is silent tells that alone", () => {
  const gone = judge([answer("s1"), answer("s2"), silent("s3")]);
  assert.deepEqual(changedStates(watchedStates(whole), watchedStates(gone)), ["s3 is silent"]);
});
