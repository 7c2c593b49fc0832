import assert from "node:assert/strict";
import { test } from "node:test";
import { isActive, journalTail, notify, parseProperties, watchdogMs } from "./systemd.ts";

test("parseProperties keeps values that hold an equals sign and skips other lines", () => {
  assert.deepEqual(parseProperties("ActiveState=active\nEnvironment=A=1 B=2\n\nno property\n"), {
    ActiveState: "active",
    Environment: "A=1 B=2",
  });
});

test("watchdogMs is half of what systemd allows, and undefined without a watchdog", () => {
  assert.equal(watchdogMs({ WATCHDOG_USEC: "30000000" }), 15_000);
  for (const env of [{}, { WATCHDOG_USEC: "" }, { WATCHDOG_USEC: "0" }, { WATCHDOG_USEC: "x" }]) {
    assert.equal(watchdogMs(env), undefined);
  }
});

test("notify does nothing and says so outside a unit", async () => {
  const socket = process.env["NOTIFY_SOCKET"];
  delete process.env["NOTIFY_SOCKET"];
  assert.equal(await notify("READY=1"), false);
  if (socket !== undefined) process.env["NOTIFY_SOCKET"] = socket;
});

test("isActive and journalTail answer no and nothing for a unit that isn't there", async () => {
  assert.equal(await isActive("understudy-no-such-unit.service"), false);
  assert.deepEqual(await journalTail("understudy-no-such-unit.service"), []);
});
