import assert from "node:assert/strict";
import { test } from "node:test";
import { ReportReceiver } from "../cluster/schema.ts";
import { renderReceivers } from "./reports.ts";

void test("renderReceivers shows what waits where, and one that no courier has told of", () => {
  const down = {
    name: "board",
    url: "https://board.test/",
    because: "it answers 502",
    reports: 3,
    oldestMs: 90_000,
    deadLetters: 1,
  };
  const text = renderReceivers([down, { name: "fresh", url: "https://fresh.test/" }]);
  assert.match(text, /^board +https:\/\/board\.test\/ +it answers 502 +3 +1m 30s +1$/m);
  assert.match(text, /^fresh +https:\/\/fresh\.test\/ +- +- +- +-$/m);
  assert.match(renderReceivers([]), /understudy reports add/);
});

void test("a receiver is a name and a URL without credentials", () => {
  const cases: [unknown, boolean][] = [
    [{ name: "board", url: "https://board.test:8443/reports?x=1" }, true],
    [{ name: "board", url: "http://10.0.0.1/" }, true],
    [{ name: "../x", url: "https://board.test/" }, false],
    [{ name: "", url: "https://board.test/" }, false],
    [{ name: "board", url: "ftp://board.test/" }, false],
    [{ name: "board", url: "board.test" }, false],
    [{ name: "board", url: "https://me:secret@board.test/" }, false],
    [{ name: "board", url: "https://me@board.test/" }, false],
  ];
  for (const [value, good] of cases) {
    assert.equal(ReportReceiver.safeParse(value).success, good, JSON.stringify(value));
  }
});
