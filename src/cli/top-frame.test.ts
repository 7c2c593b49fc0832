import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { edge, judge, local, NOW_MS, row, three } from "../cluster/testing/status.ts";
import { entryOf } from "../cluster/history/entry.ts";
import { renderDraw } from "./screen.ts";
import { type Look, renderFrame, SORTS, withKey } from "./top-frame.ts";

const LOOK: Look = { sort: "name", reverse: false, paused: false };
const SIZE = { columns: 120, rows: 30 };
const busy = edge({
  backends: [
    row("s1", { busy: 1, queued: 2, perS: 0.5, responseMs: 900 }),
    row("s2", { busy: 3, perS: 2, responseMs: 100 }),
    row("s3", { state: "down", because: "L4CON" }),
  ],
});
const STATUS = judge([...three().slice(1), { ...three()[0]!, local: local("s1", { edge: busy }) }]);

const HISTORY = {
  entries: ["s3's daemon doesn't answer", "s2 holds 10.0.0.10"].map((what, number) =>
    entryOf({ kind: "member", what, atMs: NOW_MS + number }, { member: "s2", number: number + 1 }),
  ),
  more: 3,
  because: "",
};
const SHOWN = { status: STATUS, history: HISTORY, at: "12:00:00 UTC" };
const frame = (look: Partial<Look> = {}, size = SIZE) =>
  renderFrame(SHOWN, { ...LOOK, ...look }, size);
const order = (look: Partial<Look>) =>
  frame(look).flatMap((line) => /^(s\d) +\d of/.exec(line)?.[1] ?? []);

test("renderFrame: the verdict first, a line for each puppetserver, what is wrong, keys at the foot", () => {
  const lines = frame();
  assert.equal(lines[0], STATUS.verdict);
  const s1 = lines.find((line) => /^s1 +1 of 4/.test(line)) ?? "";
  assert.match(s1, /^s1 +1 of 4 +2 +0\.5 +0\.90 s +up$/);
  assert.ok(STATUS.warnings.length > 0);
  for (const warning of STATUS.warnings)
    assert.ok(lines.join("\n").includes(warning.slice(0, 100)));
  assert.match(lines.at(-1) ?? "", /^12:00:00 UTC .*q quits/);
});

test("renderFrame sorts by the chosen column, the largest first", () => {
  assert.deepEqual(order({ sort: "name" }), ["s1", "s2", "s3"]);
  assert.deepEqual(order({ sort: "busy" }), ["s2", "s1", "s3"]);
  assert.deepEqual(order({ sort: "answers" }), ["s1", "s2", "s3"]);
  assert.deepEqual(order({ sort: "rate", reverse: true }), ["s3", "s1", "s2"]);
});

test("renderFrame fits every screen, and counts what doesn't", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(60), (columns, rows) => {
      const lines = frame({}, { columns, rows });
      assert.ok(lines.length <= rows);
      assert.ok(lines.every((line) => Array.from(line).length <= Math.max(1, columns)));
    }),
  );
  assert.match(frame({}, { columns: 120, rows: 8 }).join("\n"), /… \d+ more lines/);
});

test("renderFrame lets no name move the cursor", () => {
  const status = { ...STATUS, verdict: "a\u001b[2Jb" };
  assert.ok(
    !renderFrame({ ...SHOWN, status }, LOOK, SIZE)
      .join("")
      .includes("\u001b"),
  );
});

test("renderFrame shows what happened last, the newest first, and whether that is all members'", () => {
  const lines = frame().join("\n");
  assert.match(lines, /^TIME \(UTC\) +MEMBER +LAST EVENTS$/m);
  assert.match(lines, /12:00:00 +s2 +s2 holds 10\.0\.0\.10\n.* s3's daemon doesn't answer$/m);
  const alone = { ...SHOWN, history: { ...HISTORY, because: "no quorum" } };
  assert.match(renderFrame(alone, LOOK, SIZE).join("\n"), / LAST EVENTS, as this member has told/);
  const { history: _, ...without } = SHOWN;
  assert.doesNotMatch(renderFrame(without, LOOK, SIZE).join("\n"), /LAST EVENTS/);
});

test("renderFrame says how many requests went on to another puppetserver", () => {
  assert.doesNotMatch(frame().join("\n"), /sent on/);
  const status = judge(three("s2", { edge: edge({ replays: 4 }) }));
  const lines = renderFrame({ ...SHOWN, status }, LOOK, SIZE);
  assert.ok(lines.includes("Requests sent on to another puppetserver: 4"));
});

test("withKey: < and > go round all columns, r reverses, space pauses, others do nothing", () => {
  let look = LOOK;
  for (const sort of [...SORTS.slice(1), SORTS[0]]) {
    look = withKey(look, ">") ?? look;
    assert.equal(look.sort, sort);
  }
  assert.equal(withKey(LOOK, "left")?.sort, SORTS.at(-1));
  assert.equal(withKey(LOOK, "r")?.reverse, true);
  assert.equal(withKey(LOOK, "space")?.paused, true);
  assert.equal(withKey(LOOK, "x"), undefined);
});

test("renderDraw goes to each line by its number and clears what was behind", () => {
  const drawn = renderDraw(["one", "two"]);
  assert.ok(drawn.includes("\u001b[1;1Hone\u001b[K\u001b[2;1Htwo\u001b[K\u001b[J"));
});
