import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { run, tryRun } from "../host/process.ts";
import { compareVersions, minorOf } from "./version.ts";

/** Each older than the next. */
const RISING = [
  "0:1.0~rc1-1",
  "1.0~rc1-2",
  "1.0-1",
  "1.0-1+deb12u1",
  "1.0-1+deb12u2",
  "1.0-1.1",
  "1.0a-1",
  "1.0+b-1",
  "1.0.0-1",
  "1.2-1",
  "1.10-1",
  "1.10-1bookworm",
  "2.6.12-1",
  "3.4.23-4+b2",
  "1:0.1-1",
];

test("compareVersions orders versions as their archives do", () => {
  for (const [index, version] of RISING.entries()) {
    for (const [other, another] of RISING.entries()) {
      const said = Math.sign(compareVersions(version, another));
      assert.equal(said, Math.sign(index - other), `${version} and ${another}`);
    }
  }
});

test("compareVersions says what dpkg says", async (t) => {
  if ((await tryRun(["dpkg", "--version"]).catch(() => undefined))?.ok !== true) {
    t.skip("there is no dpkg here");
    return;
  }
  const of = (characters: string, minLength: number, maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...characters.split("")), minLength, maxLength });
  const [digits, rest] = [of("0123456789", 1, 3), of("0159abz.+~", 0, 5)];
  const revision = of("019a.+~", 1, 3);
  const version = fc
    .tuple(fc.constantFrom("", "0:", "1:"), digits, rest, fc.option(revision))
    .map(
      ([epoch, first, more, last]) => `${epoch}${first}${more}${last === null ? "" : `-${last}`}`,
    );
  const pairs = fc.sample(fc.tuple(version, version), 200);
  // One shell for all of them: each line is 0 where dpkg agrees.
  const lines = pairs.map(([a, b]) => {
    const sign = Math.sign(compareVersions(a, b));
    return `dpkg --compare-versions '${a}' ${sign < 0 ? "lt" : sign > 0 ? "gt" : "eq"} '${b}' || echo '${a} ${b}'`;
  });
  assert.equal(await run(["sh", "-s"], { input: lines.join("\n") }), "");
});

test("minorOf reads the upstream version's first two numbers", () => {
  assert.deepEqual(minorOf("3.4.23-4+b2"), [3, 4]);
  assert.deepEqual(minorOf("1:2.2.7-1+b2"), [2, 2]);
  assert.deepEqual(minorOf("7-1"), [7, 0]);
  assert.deepEqual(minorOf("8.7.0-1bookworm"), [8, 7]);
});
