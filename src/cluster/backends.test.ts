import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { addBackend, removeBackend, withJrubies } from "./backends.ts";
import { Backend, Member } from "./schema.ts";

const backend = (name: string, port: number, more: Partial<Backend> = {}) =>
  Backend.parse({ name, port, ...more });
const MEMBER = Member.parse({
  id: "s1.test",
  role: "server",
  address: "10.0.0.1",
  phase: "ready",
  mayVote: true,
  backends: [backend("puppetserver", 8141)],
  version: "1.0.0",
  joinedAt: "2026-01-01T00:00:00Z",
});
const SECOND = backend("second", 8151);
const names = (member: Member) => member.backends.map(({ name }) => name);

test("addBackend adds a puppetserver, and the same one once", () => {
  const two = addBackend(MEMBER, SECOND);
  assert.deepEqual(names(two), ["puppetserver", "second"]);
  assert.equal(addBackend(two, SECOND), two);
  const elsewhere = backend("third", 8151, { address: "10.0.0.2" });
  assert.deepEqual(names(addBackend(two, elsewhere)), ["puppetserver", "second", "third"]);
});

test("addBackend refuses a name or a port that is in use", () => {
  const two = addBackend(MEMBER, SECOND);
  const cases = [
    backend("second", 8152),
    backend("third", 8151),
    backend("third", 8151, { address: "10.0.0.1" }),
    backend("third", 9140),
  ];
  for (const each of cases) {
    assert.throws(
      () => addBackend(two, each),
      (error) => isFault(error, "backend.taken"),
    );
  }
});

test("removeBackend removes any puppetserver but the only one", () => {
  const two = addBackend(MEMBER, SECOND);
  assert.deepEqual(names(removeBackend(two, "second")), ["puppetserver"]);
  assert.deepEqual(names(removeBackend(two, "puppetserver")), ["second"]);
  assert.throws(
    () => removeBackend(MEMBER, "second"),
    (error) => isFault(error, "backend.unknown"),
  );
  assert.throws(
    () => removeBackend(MEMBER, "puppetserver"),
    (error) => isFault(error, "backend.last"),
  );
});

test("withJrubies keeps a puppetserver that was added while the others were asked", () => {
  const two = addBackend(MEMBER, SECOND);
  const measured = withJrubies(two, new Map([["puppetserver", 4]]));
  assert.deepEqual(
    measured.backends.map(({ name, jrubies }) => [name, jrubies]),
    [
      ["puppetserver", 4],
      ["second", 1],
    ],
  );
});
