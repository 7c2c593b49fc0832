import assert from "node:assert/strict";
import { test } from "node:test";
import { readWho } from "./who.ts";

test("readWho takes the user of sudo, and no text that is no name", async () => {
  assert.equal(await readWho({ SUDO_USER: "ops" }), "ops");
  assert.match(await readWho({ SUDO_USER: "\u001b[2J" }), /^[A-Za-z0-9_][A-Za-z0-9_.@-]*$/);
  assert.notEqual(await readWho({}), "");
});
