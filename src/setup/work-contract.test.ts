import assert from "node:assert/strict";
import { test } from "node:test";
import { Reason } from "./work-contract.ts";

test("Reason is one line in any language, and nothing that a terminal would act on", () => {
  for (const text of ["", 'kernel "6.1"', "Wartung, Süd – 升级 🙂"]) {
    assert.equal(Reason.safeParse(text).success, true, text);
  }
  for (const text of ["a\nb", "\u001b[2J", "\u202eevil", "a\u200bb", "x".repeat(201), "\u009b1m"]) {
    assert.equal(Reason.safeParse(text).success, false, JSON.stringify(text));
  }
});
