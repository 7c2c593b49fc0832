import assert from "node:assert/strict";
import { test } from "node:test";
import { createLimiter } from "./limit.ts";
import type { Draft } from "./entry.ts";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const draft = (what: string, atMs = 0): Draft => ({ kind: "puppetserver", what, atMs });

test("the limiter tells a change at once, and a few more of the same subject", () => {
  const limiter = createLimiter();
  const told = ["up", "down", "up"].flatMap((what, index) =>
    limiter.take([{ subject: "puppetserver s1", draft: draft(what) }], index * 1000),
  );
  assert.deepEqual(
    told.map(({ what }) => what),
    ["up", "down", "up"],
  );
});

test("a puppetserver that flaps for a month is told seldom, and every change is counted", () => {
  const limiter = createLimiter();
  let changes = 0;
  const told: Draft[] = [];
  for (let nowMs = 0; nowMs < 30 * DAY_MS; nowMs += 10_000) {
    changes += 1;
    told.push(
      ...limiter.take([{ subject: "puppetserver s1", draft: draft(String(changes)) }], nowMs),
    );
  }
  told.push(...limiter.take([], 40 * DAY_MS));
  assert.ok(told.length <= 31 * 40, `${told.length} entries`);
  assert.ok(told.length > 30, `${told.length} entries`);
  const counted = told.length + told.reduce((sum, { leftOut = 0 }) => sum + leftOut, 0);
  assert.equal(counted, changes);
  assert.equal(told.at(-1)?.what, String(changes), "the last state is told");
});

test("another subject isn't held back by one that flaps", () => {
  const limiter = createLimiter();
  for (let count = 0; count < 100; count += 1) {
    limiter.take([{ subject: "puppetserver s1", draft: draft("x") }], count);
  }
  const told = limiter.take([{ subject: "address 10.0.0.1", draft: draft("moved") }], 200);
  assert.deepEqual(
    told.map(({ what }) => what),
    ["moved"],
  );
});

test("all subjects together are bounded; what is held comes later", () => {
  const limiter = createLimiter();
  const many = Array.from({ length: 900 }, (_, index) => ({
    subject: `puppetserver ${index}`,
    draft: draft(String(index)),
  }));
  assert.equal(limiter.take(many, 0).length, 300);
  assert.equal(limiter.take([], 30 * MINUTE_MS).length, 0);
  assert.equal(limiter.take([], 61 * MINUTE_MS).length, 300);
});

test("deeds, however many, leave nothing untold that is seen", () => {
  const limiter = createLimiter();
  const deeds = Array.from({ length: 900 }, (_, index) => ({
    subject: `command token${index}`,
    draft: draft(String(index)),
    deed: true as const,
  }));
  assert.equal(limiter.take(deeds, 0).length, 300);
  const seen = { subject: "address 10.0.0.1", draft: draft("moved") };
  assert.deepEqual(
    limiter.take([seen], 1).map(({ what }) => what),
    ["moved"],
  );
});

test("what is held is bounded: of more, what changed longest ago is forgotten", () => {
  const limiter = createLimiter();
  const many = Array.from({ length: 3000 }, (_, index) => ({
    subject: `puppetserver ${index}`,
    draft: draft(String(index)),
  }));
  assert.equal(limiter.take(many, 0).length, 300);
  const later = [2, 4, 6, 8, 10].flatMap((hours) => limiter.take([], hours * 60 * MINUTE_MS));
  assert.equal(later.length, 1000);
  assert.equal(later.at(-1)?.what, "2999");
});

test("deeds are told more often than what is seen", () => {
  const limiter = createLimiter();
  const told = Array.from({ length: 30 }, (_, count) =>
    limiter.take([{ subject: "command root", draft: draft(String(count)), deed: true }], count),
  );
  assert.equal(told.flat().length, 30);
});

test("a burst is told once, when it has ended or has lasted long", () => {
  const limiter = createLimiter();
  const change = (crl: number) => ({
    subject: "crl ",
    draft: { ...draft(`crl ${crl}`), burst: { revoked: 1, first: crl, last: crl, total: crl } },
    settleMs: 10_000,
    merge: (former: Draft) => ({ ...draft(`crl ${crl}`), what: `${former.what}+${crl}` }),
  });
  assert.deepEqual(limiter.take([change(1)], 0), []);
  assert.deepEqual(limiter.take([change(2)], 5000), []);
  assert.deepEqual(limiter.take([], 14_000), []);
  const [told, ...rest] = limiter.take([], 15_000);
  assert.equal(told?.what, "crl 1+2");
  assert.equal(told?.leftOut, undefined);
  assert.deepEqual(rest, []);
  const endless = Array.from({ length: 61 }, (_, count) =>
    limiter.take([change(count)], 100_000 + count * 5000),
  );
  assert.equal(endless.flat().length, 1);
});

test("at the end a burst is told as far as it has come, and what was too much stays untold", () => {
  const limiter = createLimiter();
  const burst = { subject: "crl ", draft: draft("crl 5"), settleMs: 10_000 };
  assert.deepEqual(limiter.take([burst], 0), []);
  const often = Array.from({ length: 12 }, () => ({ subject: "edge ", draft: draft("down") }));
  assert.equal(limiter.take(often, 1000).length, 10);
  assert.deepEqual(
    limiter.end(2000).map(({ what }) => what),
    ["crl 5"],
  );
  assert.deepEqual(limiter.end(3000), []);
});
