import assert from "node:assert/strict";
import { test } from "node:test";
import { oneLine } from "./printable.ts";

const CASES: [string, string, string][] = [
  ["letters of any language", "Wartung für Ωmega 保守 👍", "Wartung für Ωmega 保守 👍"],
  ["a line break and a tab", "a\nb\tc\r", "a\\u{a}b\\u{9}c\\u{d}"],
  ["a terminal's escape", "\u001b[2J\u009b1m", "\\u{1b}[2J\\u{9b}1m"],
  ["a turned direction", "x\u202egnp.exe\u2066", "x\\u{202e}gnp.exe\\u{2066}"],
  ["what can't be seen", "a\u200bb\u00adc\u2028d\ufeff", "a\\u{200b}b\\u{ad}c\\u{2028}d\\u{feff}"],
  ["half a character", "a\ud800b", "a\\u{d800}b"],
];
for (const [what, text, expected] of CASES) {
  test(`oneLine shows ${what}`, () => assert.equal(oneLine(text, 100), expected));
}

test("oneLine cuts by characters, not inside of one", () => {
  assert.equal(oneLine("👍👍👍👍", 3), "👍👍…");
  assert.equal(oneLine("abc", 3), "abc");
  assert.equal(oneLine("x".repeat(1_000_000), 5), "xxxx…");
});
