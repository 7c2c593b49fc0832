import assert from "node:assert/strict";
import { test } from "node:test";
import type { Capacity } from "../cluster/capacity.ts";
import { renderCapacity } from "./capacity.ts";

const busiest = { load: 5, fromMs: Date.parse("2026-11-20T10:00:00Z") };
const member = (id: string, up = 4) => {
  return { id, jrubies: 4, up, busy: 1, queued: 0, responseMs: 1500 };
};
const render = (more: Partial<Capacity>) =>
  renderCapacity({
    members: [member("s1"), member("s2"), member("s3")],
    jrubies: 12,
    now: 2,
    busiest,
    without: { id: "s1", jrubies: 8, carries: true, lacking: 0 },
    missing: [],
    ...more,
  });

const CASES: [string, Partial<Capacity>, RegExp[]][] = [
  [
    "what is left, and by how much more it could be",
    {},
    [
      /^s1 +4 +1 +0 +1\.50 s$/m,
      /^Without s1 8 JRubies are left, which carry it, and 28 % more\.$/m,
    ],
  ],
  [
    "what isn't up",
    {
      members: [member("s1"), member("s2"), member("s3", 0)],
      without: { id: "s1", jrubies: 4, carries: false, lacking: 3 },
    },
    [/^s3 +0 of 4 up /m, /^Without s1 4 JRubies are left: 3 too few\. /m],
  ],
  [
    "that nobody is left",
    { without: { id: "s1", jrubies: 0, carries: false, lacking: 7 } },
    [/^Without s1 no puppetserver is up\./m],
  ],
  ["that it is the only one", { without: undefined }, [/^There is one member with puppetservers/m]],
  [
    "whom it couldn't ask",
    { missing: ["s2"] },
    [/^! s2 doesn't answer: what its edge had for puppetservers isn't counted\.$/m],
  ],
];
for (const [what, more, expected] of CASES) {
  test(`renderCapacity says ${what}`, () => {
    for (const pattern of expected) assert.match(render(more), pattern);
  });
}
