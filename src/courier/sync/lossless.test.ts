import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseLossless, renderLossless } from "./lossless.ts";

void test("parseLossless and renderLossless keep every number's spelling", () => {
  const numbers = ["1.0", "0.10", "-0.0", "1e3", "1E-7", "12345678901234567890", "1e400", "0"];
  const text = `{"n":[${numbers.join(",")}],"__proto__":{"a":2.50},"s":"1.0","null":null}`;
  assert.equal(renderLossless(parseLossless(text)), text);
});

void test("parseLossless and renderLossless keep strings, lone surrogates and zero bytes too", () => {
  const text = String.raw`{"a":"\u00e9\ud800 \u0000 \\ \"","b":"é\ud83d\ude00"}`;
  assert.deepEqual(JSON.parse(renderLossless(parseLossless(text))), JSON.parse(text));
});

void test("renderLossless gives parseLossless's text back", () => {
  const number = fc.stringMatching(/^-?(0|[1-9]\d{0,24})(\.\d{1,24})?([eE][+-]?\d{1,3})?$/);
  const { value } = fc.letrec<{ value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      number,
      fc.string({ unit: "binary" }).map((text) => JSON.stringify(text)),
      fc.constantFrom("true", "false", "null"),
      fc.array(tie("value")).map((all) => `[${all.join(",")}]`),
      // Keys that aren't numbers: of those JavaScript changes the order, which means nothing.
      fc
        .uniqueArray(fc.tuple(fc.stringMatching(/^[a-z_:]{1,9}$/), tie("value")), {
          selector: ([key]) => key,
        })
        .map((all) => `{${all.map(([key, each]) => `"${key}":${each}`).join(",")}}`),
    ),
  }));
  fc.assert(
    fc.property(value, (text) => {
      assert.equal(renderLossless(parseLossless(text)), text);
    }),
  );
});
