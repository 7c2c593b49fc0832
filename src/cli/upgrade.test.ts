import assert from "node:assert/strict";
import { test } from "node:test";
import { PARTS } from "../upgrade/parts.ts";
import { partOf } from "./upgrade.ts";

test("partOf takes what can be upgraded, and says what there is for anything else", () => {
  for (const part of PARTS) assert.equal(partOf(part), part);
  for (const word of ["openssh-server", "s2", "", "--yes"]) {
    assert.throws(() => partOf(word), { code: "cli.option" });
  }
});
