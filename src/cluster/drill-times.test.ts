import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  dueSlots,
  inWindows,
  isEverIn,
  lastSlotMs,
  parseSlot,
  parseWindow,
  SLOT_LATE_MS,
  withSince,
} from "./drill-times.ts";

/** A Tuesday. */
const TUESDAY = "2026-12-01";
const at = (text: string) => Date.parse(`${text}Z`);

const SLOTS: [string, ReturnType<typeof parseSlot>][] = [
  ["Tue 10:00", { day: 2, minute: 600 }],
  [" sun 0:05 ", { day: 0, minute: 5 }],
  ["daily 23:59", { minute: 1439 }],
  ["Tue 24:00", undefined],
  ["Tue 10:60", undefined],
  ["Tuesday 10:00", undefined],
  ["10:00", undefined],
  ["Tue  10:00", undefined],
  ["", undefined],
];
for (const [text, expected] of SLOTS) {
  test(`parseSlot of "${text}"`, () => assert.deepEqual(parseSlot(text), expected));
}

test("lastSlotMs is the newest one that isn't later than now", () => {
  const time = { day: 2, minute: 600 };
  assert.equal(lastSlotMs(time, at(`${TUESDAY}T10:00:30`)), at(`${TUESDAY}T10:00`));
  assert.equal(lastSlotMs(time, at(`${TUESDAY}T09:59:59`)), at("2026-11-24T10:00"));
  assert.equal(lastSlotMs({ minute: 600 }, at(`${TUESDAY}T09:00`)), at("2026-11-30T10:00"));
});

test("lastSlotMs is never later than now, and no period ago", () => {
  const day = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
  const minute = fc.integer({ min: 0, max: 1439 });
  const now = fc.integer({ min: 0, max: 4_000_000_000_000 });
  fc.assert(
    fc.property(day, minute, now, (day, minute, nowMs) => {
      const time = day === undefined ? { minute } : { day, minute };
      const ms = lastSlotMs(time, nowMs);
      const period = (day === undefined ? 1 : 7) * 86_400_000;
      assert.ok(ms <= nowMs && nowMs - ms < period);
      const date = new Date(ms);
      assert.equal(date.getUTCHours() * 60 + date.getUTCMinutes(), minute);
      if (day !== undefined) assert.equal(date.getUTCDay(), day);
    }),
  );
});

test("dueSlots names a slot the same for as long as it may be held, and not later", () => {
  const drills = [{ kind: "edge-kill", when: "Tue 10:00" }];
  const slotMs = at(`${TUESDAY}T10:00`);
  const names = [0, 1000, SLOT_LATE_MS - 1].flatMap((lateMs) =>
    dueSlots(drills, slotMs + lateMs).map(({ slot }) => slot),
  );
  assert.deepEqual(new Set(names), new Set([`edge-kill ${TUESDAY}T10:00:00.000Z`]));
  assert.equal(names.length, 3);
  assert.deepEqual(dueSlots(drills, slotMs - 1), []);
  assert.deepEqual(dueSlots(drills, slotMs + SLOT_LATE_MS), []);
  assert.deepEqual(dueSlots([{ kind: "edge-kill", when: "soon" }], slotMs), []);
});

test("dueSlots leaves a time out that had passed when it was planned", () => {
  const drill = { kind: "edge-kill", when: "Tue 10:00" };
  const slotMs = at(`${TUESDAY}T10:00`);
  const heldAt = (nowMs: number, before: (typeof drill)[], lookedMs: number) =>
    dueSlots(withSince([drill], before, lookedMs), nowMs).length;
  assert.equal(heldAt(slotMs + 1, [], slotMs - 1), 1);
  assert.equal(heldAt(slotMs + 60_000, [], slotMs + 50_000), 0);
  assert.equal(heldAt(slotMs + 60_000, [drill], slotMs + 50_000), 1);
  assert.equal(heldAt(slotMs + 60_000, [{ ...drill, when: "Tue 9:00" }], slotMs + 50_000), 0);
  const [planned] = withSince([drill], [], slotMs + 50_000);
  assert.deepEqual(withSince([drill], [planned ?? drill], slotMs + 60_000), [planned]);
  assert.equal(dueSlots([planned ?? drill], slotMs + 7 * 86_400_000).length, 1);
});

const WINDOWS: [string, string, boolean][] = [
  ["Mon-Fri 09:00-17:00", `${TUESDAY}T09:00`, true],
  ["Mon-Fri 09:00-17:00", `${TUESDAY}T16:59:59`, true],
  ["Mon-Fri 09:00-17:00", `${TUESDAY}T17:00`, false],
  ["Mon-Fri 09:00-17:00", "2026-12-05T10:00", false],
  ["Fri-Mon 09:00-17:00", "2026-12-06T10:00", true],
  ["Fri-Mon 09:00-17:00", `${TUESDAY}T10:00`, false],
  ["Sat 00:00-24:00", "2026-12-05T23:59", true],
  ["daily 09:00-17:00", "2026-12-05T10:00", true],
];
for (const [window, time, expected] of WINDOWS) {
  test(`inWindows: ${time} is ${expected ? "" : "not "}in ${window}`, () =>
    assert.equal(inWindows([window], at(time)), expected));
}

test("parseWindow takes nothing that ends before it begins, or isn't one", () => {
  for (const text of ["Mon 17:00-09:00", "Mon 09:00-09:00", "Mon", "Mon 9-17", "X 09:00-17:00"]) {
    assert.equal(parseWindow(text), undefined, text);
  }
  assert.equal(inWindows([], at(`${TUESDAY}T10:00`)), false);
});

test("isEverIn finds the one day of a week on which a daily slot may be held", () => {
  assert.ok(isEverIn("daily 10:00", ["Sat 09:00-11:00"]));
  assert.ok(isEverIn("Tue 10:00", ["Mon-Fri 09:00-11:00"]));
  assert.ok(isEverIn("Tue 10:00", []));
  assert.ok(!isEverIn("Sun 10:00", ["Mon-Fri 09:00-11:00"]));
  assert.ok(!isEverIn("daily 12:00", ["daily 09:00-11:00"]));
});
