// Several members see the same thing change, each by its own clock, some of them not always, and
// tell it whenever they can: the record has each change once.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { entryOf, type HistoryEntry } from "./entry.ts";
import { planSend } from "./shared.ts";

/** A look comes up to so late, and clocks are so far apart, in all. */
const LATE_MS_MAX = 12_000;
const SUBJECT = "puppetserver s3";

/** The record as far as planSend knows it. */
function createRecord() {
  const entries: HistoryEntry[] = [];
  let sights: { state: string; atMs: number }[] = [];
  return {
    entries,
    send(batch: readonly HistoryEntry[]) {
      const seen = new Map([[SUBJECT, { sights, modRevision: 1 }]]);
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
