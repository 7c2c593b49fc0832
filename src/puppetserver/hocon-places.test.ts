import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { lineAt, parseHoconPlaces, renderScalar } from "./hocon-places.ts";

const FILE = "/etc/puppet/x.conf";

test("parseHoconPlaces finds values of every form where they stand", () => {
  const text = `# comment
a: { # comment
    "quoted key" = "x: y", b : [1, {c: 2}, "]"] // comment
    path: \${base.dir}/sub   dir # comment
}
d { e = 0.0.0.0 }
`;
  const [a, d] = parseHoconPlaces(text, FILE);
  assert.ok(a?.value.kind === "block" && d?.value.kind === "block");
  assert.equal(a.line, 2);
  assert.deepEqual(
    a.value.entries.map(({ key, line, value }) => [
      key,
      line,
      value.kind === "scalar" ? value.text : value.kind,
      text.slice(value.start, value.end),
    ]),
    [
      ["quoted key", 3, "x: y", '"x: y"'],
      ["b", 3, "list", '[1, {c: 2}, "]"]'],
      // oxlint-disable-next-line no-template-curly-in-string -- HOCON's own substitution
      ["path", 4, "${base.dir}/sub   dir", "${base.dir}/sub   dir"],
    ],
  );
  assert.equal(text.slice(d.value.open, d.value.close), " e = 0.0.0.0 ");
});

const REFUSED: [string, RegExp][] = [
  ["a: {\n b: 1", /x\.conf:2: the file ends where "}"/],
  ["a: [1", /x\.conf:1: the file ends where "]"/],
  ["a: 1\n\na: 2", /x\.conf:3: "a" stands here a second time/],
  ["a.b: 1", /dotted names/],
  ["a += 1", /dotted names|"=" or "{" was expected/],
  ['include "y.conf"', /an include/],
  ["a: 1 }", /x\.conf:1: /],
  ["}", /a name was expected/],
  ['a: "x', /without its end/],
  ['a: """x"""', /not understood/],
  ["a: ", /a value was expected/],
  ["a: {} b", /the end of the line was expected/],
  ['a: "x" "y"', /the end of the line was expected/],
  ["{ a: 1 }", /a name was expected/],
  ["a: {".repeat(40), /nested too deeply/],
  ["a: ".concat("[".repeat(40)), /nested too deeply/],
];
for (const [text, pattern] of REFUSED) {
  test(`parseHoconPlaces refuses ${JSON.stringify(text.slice(0, 20))} with file and line`, () => {
    assert.throws(
      () => parseHoconPlaces(text, FILE),
      (error) => isFault(error, "puppetserver.config-unknown") && pattern.test(error.message),
    );
  });
}

test("parseHoconPlaces refuses any text or finds values inside it, never anything else", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("a", ":", "=", "{", "}", "[", "]", '"', "#", "//", "\n", ",", "${", " "),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join("");
      try {
        for (const { start, value } of parseHoconPlaces(text, FILE)) {
          assert.ok(start < value.end && value.start < value.end && value.end <= text.length);
        }
      } catch (error) {
        assert.ok(isFault(error, "puppetserver.config-unknown"));
      }
    }),
  );
});

test("renderScalar writes what parseHoconPlaces reads as the same text", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (text) => {
      const [entry] = parseHoconPlaces(`a: ${renderScalar(text)}\n`, FILE);
      assert.ok(entry?.value.kind === "scalar");
      assert.equal(entry.value.text, text);
    }),
  );
});

test("lineAt counts from 1", () => {
  assert.equal(lineAt("a\nb\nc", 0), 1);
  assert.equal(lineAt("a\nb\nc", 2), 2);
  assert.equal(lineAt("a\nb\nc", 5), 3);
});
