import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObservedMember } from "../etcd/voters.ts";
import { createSilence } from "./voters-loop.ts";

const MINUTE_MS = 60_000;

const member = (id: string, learner: boolean, healthy: boolean): ObservedMember => ({
  id,
  name: id,
  peerUrls: [],
  learner,
  healthy,
});

test("createSilence calls a learner stuck that was silent at every look for a quarter of an hour", () => {
  const silence = createSilence();
  const look = (minute: number, healthy = false) => [
    ...silence.stuck([member("1", false, false), member("2", true, healthy)], minute * MINUTE_MS),
  ];
  assert.deepEqual(look(0), []);
  assert.deepEqual(look(14), []);
  assert.deepEqual(look(15), ["2"]);
  assert.deepEqual(look(16, true), []);
  assert.deepEqual(look(17), []);
  assert.deepEqual(look(31), []);
  assert.deepEqual(look(32), ["2"]);
  // Another one led meanwhile, and has seen what this one hasn't.
  silence.forget();
  assert.deepEqual(look(33), []);
  // Added anew it has another id.
  assert.deepEqual([...silence.stuck([member("3", true, false)], 48 * MINUTE_MS)], []);
});
