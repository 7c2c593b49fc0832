import assert from "node:assert/strict";
import { test } from "node:test";
import { refuseVersion } from "./versions.ts";

void test("refuseVersion lets 7 to 9 be compared with each other, and says which isn't known", () => {
  assert.equal(refuseVersion("7.12.1", "8.8.2"), "");
  assert.equal(refuseVersion("9.0.0-beta2-SNAPSHOT", "7.12.1"), "");
  assert.equal(
    refuseVersion("7.12.1", "10.0.0"),
    "it is PuppetDB 10.0.0: releases 7 to 9 are synchronized",
  );
  assert.match(refuseVersion("6.22.1", "7.12.1"), /^this server's is PuppetDB 6.22.1/);
  assert.notEqual(refuseVersion("7.12.1", "odd"), "");
});
