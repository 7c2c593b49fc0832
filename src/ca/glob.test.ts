import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { matchesGlob } from "./glob.ts";

void test("matchesGlob matches whole names as a shell does", () => {
  const cases: [pattern: string, name: string, matches: boolean][] = [
    ["*", "", true],
    ["", "", true],
    ["", "a", false],
    ["a", "", false],
    ["web?.test", "web1.test", true],
    ["web?.test", "web.test", false],
    ["web1.tes.", "web1.test", false],
    ["*.test", "a.b.test", true],
    ["*ab*b", "aabbab", true],
    ["*ab*b", "aabba", false],
    ["[a]*", "a", false],
  ];
  for (const [pattern, name, matches] of cases) {
    assert.equal(matchesGlob(pattern, name), matches, `${pattern} ${name}`);
  }
});

void test("matchesGlob says what the regular expression of a short pattern says", () => {
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*", "?"), maxLength: 6 });
  const name = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
  fc.assert(
    fc.property(pattern, name, (glob, text) => {
      const source = glob.replaceAll("*", ".*").replaceAll("?", ".");
      assert.equal(matchesGlob(glob, text), new RegExp(`^${source}$`).test(text));
    }),
  );
});

void test("matchesGlob comes to an end with the worst of patterns", () => {
  assert.equal(matchesGlob(`${"*a".repeat(127)}x`, "a".repeat(251)), false);
});
