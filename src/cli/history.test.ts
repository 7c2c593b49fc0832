import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { entryOf } from "../cluster/history/entry.ts";
import { describeEntry, readQuery, readSpan, readWhen, renderHistory } from "./history.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const at = (what: string, more: object = {}) =>
  entryOf(
    { kind: "member", what, because: "", by: "", atMs: NOW_MS, ...more },
    { member: "s1", number: 1 },
  );

test("renderHistory shows time, who and why, and escapes what could move the cursor", () => {
  const hostile = at("\u001b[2Js1 joins\nroot# rm -rf /", { because: "\u202eevil", by: "\u0007x" });
  const text = renderHistory({
    entries: [at("s1 leaves", { by: "root (alice)" }), hostile],
    more: 3,
    because: "",
  });
  assert.match(text, /^3 older entries: --limit, --since$/m);
  assert.match(text, /^2026-11-20 12:00:00 {2}s1 +member {2}root \(alice\) {2}s1 leaves$/m);
  assert.match(text, /\\u\{7\}x +\\u\{1b\}\[2Js1 joins\\u\{a\}root# rm -rf \/: \\u\{202e\}evil$/m);
  for (const hidden of ["\u001b", "\u202e", "\u0007"]) assert.ok(!text.includes(hidden));
});

test("renderHistory says when it is only this member's, and when there is nothing", () => {
  const text = renderHistory({ entries: [], more: 0, because: "no quorum" });
  assert.match(text, /^Nothing happened\.$/m);
  assert.match(text, /! Only what this member itself .*no quorum[^]*understudy incident/);
});

test("describeEntry tells stages and what was left out", () => {
  const stages = [
    { what: "its vote", ms: 1234 },
    { what: "the rest", ms: 120_000 },
  ];
  const text = describeEntry(at("s3 is removed", { because: "dead", stages, leftOut: 2 }));
  assert.equal(
    text,
    "s3 is removed: dead (took its vote 1.2 s, the rest 2m) [2 changes before it left out]",
  );
});

test("readWhen takes durations and times", () => {
  assert.equal(readWhen("2h", NOW_MS), NOW_MS - 7_200_000);
  assert.equal(readWhen("2026-11-20T10:00Z", NOW_MS), NOW_MS - 7_200_000);
  assert.equal(readWhen("2026-11-20 10:00Z", NOW_MS), NOW_MS - 7_200_000);
  assert.equal(readWhen("100y", NOW_MS), 0);
});

test("readWhen takes a day, as a time without Z, for one of this server's time zone", () => {
  const zone = process.env["TZ"];
  process.env["TZ"] = "Asia/Tokyo";
  try {
    assert.equal(readWhen("2026-11-20", NOW_MS), Date.parse("2026-11-19T15:00Z"));
    assert.equal(readWhen("2026-11-20 00:00", NOW_MS), Date.parse("2026-11-19T15:00Z"));
  } finally {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  }
});

for (const flags of [
  { since: "yesterday" },
  { until: "2026-13-45" },
  { since: "" },
  { kind: ["Member"] },
  { kind: ["member,adress"] },
  { limit: "0" },
  { limit: "10001" },
  { limit: "x" },
]) {
  test(`readQuery refuses ${JSON.stringify(flags)}`, () => {
    assert.throws(
      () => readQuery({ limit: "100", ...flags }, NOW_MS),
      (error) => isFault(error, "cli.option") || isFault(error, "base.duration"),
    );
  });
}

test("readSpan refuses an end before the beginning: nothing would have happened then", () => {
  const query = new URLSearchParams();
  assert.throws(
    () => readSpan({ since: "1h", until: "2h" }, NOW_MS),
    (error) => isFault(error, "cli.option") && /--until.*before --since/.test(error.message),
  );
  query.set("sinceMs", String(NOW_MS - 7_200_000));
  query.set("untilMs", String(NOW_MS - 3_600_000));
  assert.equal(readSpan({ since: "2h", until: "1h" }, NOW_MS).toString(), query.toString());
  assert.equal(readSpan({}, NOW_MS).toString(), "");
});

test("readQuery asks for kinds that are parted by commas or spaces", () => {
  const query = readQuery({ limit: "5", kind: ["member,etcd", "ca"], since: "1h" }, NOW_MS);
  assert.equal(query, `sinceMs=${NOW_MS - 3_600_000}&kinds=member%2Cetcd%2Cca&limit=5`);
});
