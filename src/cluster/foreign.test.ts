import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { withForeign } from "./foreign.ts";

/** `raw`, as somebody has it who knows only keys of one letter. */
function read(raw: unknown): unknown {
  if (Array.isArray(raw)) return raw.map(read);
  if (typeof raw !== "object" || raw === null) return raw;
  const known = Object.entries(raw).filter(([key]) => key.length === 1 || key === "name");
  return Object.fromEntries(known.map(([key, value]) => [key, read(value)]));
}

const B1 = { name: "b1", p: 1, zone: "north" };
const B2 = { name: "b2", p: 1, zone: "south" };
const RAW = { a: 1, site: "x", b: [B1, B2], c: { d: 1, mtls: true }, e: { f: 1, deep: { g: 1 } } };
const CASES: [string, object, object][] = [
  ["of a change elsewhere", { a: 2 }, { a: 2 }],
  ["of a change beside it", { c: { d: 2 } }, { c: { d: 2, mtls: true } }],
  [
    "in a list that is in another order, with one more",
    {
      b: [
        { name: "b3", p: 3 },
        { name: "b2", p: 2 },
        { name: "b1", p: 1 },
      ],
    },
    { b: [{ name: "b3", p: 3 }, { ...B2, p: 2 }, B1] },
  ],
  ["but not of what is gone from a list", { b: [{ name: "b1", p: 1 }] }, { b: [B1] }],
  ["but not of what was put in place of a list", { b: 7 }, { b: 7 }],
];
for (const [what, change, expected] of CASES) {
  test(`withForeign keeps what a newer version has added: ${what}`, () => {
    const seen = read(RAW) as object;
    assert.deepEqual(withForeign(RAW, seen, { ...seen, ...change }), { ...RAW, ...expected });
  });
}

test("withForeign lets go of what is removed, with all in it", () => {
  const { e: _, ...after } = read(RAW) as Record<string, unknown>;
  const { e: __, ...expected } = RAW;
  assert.deepEqual(withForeign(RAW, read(RAW), after), expected);
});

test("withForeign of no change is the same text, whatever is in it", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const raw: unknown = JSON.parse(text);
      assert.equal(JSON.stringify(withForeign(raw, raw, raw)), JSON.stringify(raw));
    }),
  );
});
