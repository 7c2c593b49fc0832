import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "./fault.ts";
import { parseLocalTime, renderLocalTime } from "./local-time.ts";

process.env["TZ"] = "Europe/Berlin";
const NOW_MS = Date.parse("2026-11-20T13:00:00Z");
const iso = (text: string) => new Date(parseLocalTime(text, NOW_MS)).toISOString();

test("parseLocalTime reads what people type, in this server's time zone", () => {
  assert.equal(iso("15:00"), "2026-11-20T14:00:00.000Z");
  assert.equal(iso("9:30"), "2026-11-21T08:30:00.000Z", "the next one");
  assert.equal(iso("14:00"), "2026-11-21T13:00:00.000Z", "now is over");
  assert.equal(iso("2026-12-01 15:00"), "2026-12-01T14:00:00.000Z");
  assert.equal(iso(" 2026-12-01T15:00:00Z "), "2026-12-01T15:00:00.000Z");
});

test("parseLocalTime refuses what is no time, is over, or far away", () => {
  for (const text of [
    "",
    "x",
    "25:00",
    "15",
    "2026-12-01",
    "2026-11-20 13:59",
    "2028-01-01 00:00",
  ]) {
    assert.throws(
      () => parseLocalTime(text, NOW_MS),
      (error) => isFault(error, "base.time"),
      text,
    );
  }
});

test("renderLocalTime leaves the day out where nobody can take it for another", () => {
  assert.equal(renderLocalTime(NOW_MS + 3_600_000, NOW_MS), "15:00");
  assert.equal(renderLocalTime(NOW_MS + 23 * 3_600_000, NOW_MS), "2026-11-21 13:00");
});
