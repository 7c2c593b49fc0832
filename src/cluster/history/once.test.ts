// Several members see the same thing change, each by its own clock, some of them not always, and
// tell it whenever they can: the record has each change once.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { entryOf, type HistoryEntry } from "./entry.ts";
import type { Facts } from "./facts.ts";
import { createLimiter } from "./limit.ts";
import { planHistory } from "./plan.ts";
import { planSend } from "./shared.ts";

/** A look comes up to so late, and clocks are so far apart, in all. */
const LATE_MS_MAX = 12_000;
const LOOK_MS = 5000;
const START_MS = 1_000_000;
const SUBJECT = "puppetserver s3";

/** The record as far as planSend knows it. */
function createRecord(subject = SUBJECT) {
  const entries: HistoryEntry[] = [];
  let sights: { state: string; atMs: number }[] = [];
  return {
    entries,
    send(batch: readonly HistoryEntry[]) {
      const seen = new Map([[subject, { sights, modRevision: 1 }]]);
      for (const op of planSend(batch, seen).then) {
        if (!("put" in op)) continue;
        const value: unknown = JSON.parse(op.value);
        if (Array.isArray(value)) sights = value as typeof sights;
        else entries.push(value as HistoryEntry);
      }
    },
  };
}

const changes = fc.array(fc.integer({ min: 30_000, max: 3_600_000 }), {
  minLength: 1,
  maxLength: 30,
});
const sight = fc.record({ late: fc.integer({ min: 0, max: LATE_MS_MAX }), sees: fc.boolean() });
const members = fc.array(fc.array(sight, { minLength: 30, maxLength: 30 }), {
  minLength: 1,
  maxLength: 5,
});
/** Who sends next, and how much of what it has. */
const turns = fc.array(fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 8 })), { maxLength: 60 });

test("each change is in the record once, whoever saw it and whenever it is sent", () => {
  fc.assert(
    fc.property(changes, members, turns, (gaps, sights, order) => {
      let atMs = 1_000_000;
      const truth = gaps.map((gap, index) => {
        return { atMs: (atMs += gap), state: index % 2 === 0 ? "down" : "up" };
      });
      const queues = sights.map((own, index) =>
        truth
          // The first member sees all, so that each change is seen by somebody.
          .filter((_, change) => index === 0 || own[change]?.sees === true)
          .map(({ atMs, state }, number) =>
            entryOf(
              {
                kind: "puppetserver",
                what: state,
                atMs: atMs + (own[number]?.late ?? 0),
                seen: { subject: SUBJECT, state },
              },
              { member: `s${index}`, number: number + 1 },
            ),
          ),
      );
      const record = createRecord();
      for (const [who, count] of order) record.send(queues[who]?.splice(0, count) ?? []);
      for (const queue of queues) record.send(queue);
      const told = record.entries.toSorted((a, b) => a.atMs - b.atMs).map(({ what }) => what);
      assert.deepEqual(
        told,
        truth.map(({ state }) => state),
      );
    }),
    { numRuns: 2000 },
  );
});

test("a long burst of revocations is in the record once, wherever each member cuts it", () => {
  const crls = fc.array(
    fc.record({ gapMs: fc.integer({ min: 500, max: 8000 }), revoked: fc.nat(3) }),
    {
      minLength: 1,
      maxLength: 200,
    },
  );
  const phases = fc.array(fc.nat(LATE_MS_MAX), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(crls, phases, turns, (all, lates, order) => {
      let atMs = START_MS;
      let total = 7;
      const truth = all.map(({ gapMs, revoked }, index) => {
        return { atMs: (atMs += gapMs), count: (total += revoked), state: String(index + 5) };
      });
      const queues = lates.map((late, index) => tellBurst(truth, `s${index}`, late));
      const record = createRecord("crl ");
      for (const [who, count] of order) record.send(queues[who]?.splice(0, count) ?? []);
      for (const queue of queues) record.send(queue);
      const bursts = record.entries.flatMap(({ burst }) => burst ?? []);
      const sorted = bursts.toSorted((a, b) => a.first - b.first);
      assert.equal(sorted.at(-1)?.last, all.length + 4);
      for (const [index, { first }] of sorted.entries()) {
        assert.equal(first, (sorted[index - 1]?.last ?? 4) + 1, "no CRL twice, none left out");
      }
      assert.equal(
        sorted.reduce((sum, { revoked }) => sum + revoked, 0),
        total - 7,
      );
    }),
    { numRuns: 300 },
  );
});

/** What one member tells of CRLs 5 and later, whose looks begin `lateMs` after the start. */
function tellBurst(
  truth: readonly { atMs: number; state: string; count: number }[],
  member: string,
  lateMs: number,
): HistoryEntry[] {
  const limiter = createLimiter();
  const told: HistoryEntry[] = [];
  let before: Facts = { "crl ": { state: "4", count: 7 } };
  const endMs = (truth.at(-1)?.atMs ?? 0) + 2 * LATE_MS_MAX;
  for (let nowMs = START_MS + lateMs; nowMs <= endMs; nowMs += LOOK_MS) {
    const crl = truth.findLast(({ atMs }) => atMs <= nowMs);
    const after: Facts = crl === undefined ? before : { "crl ": crl };
    for (const draft of limiter.take(planHistory(before, after, member, nowMs), nowMs)) {
      told.push(entryOf(draft, { member, number: told.length + 1 }));
    }
    before = after;
  }
  return told;
}
