import assert from "node:assert/strict";
import { test } from "node:test";
import { noAnswer } from "./daemon-client.ts";

void test("noAnswer says that a change may have been made where it had reached the daemon", () => {
  const failed = (code: string) => Object.assign(new Error(`read ${code}`), { code });
  const cases: [method: string, error: Error, waitedMs: number | undefined, open: boolean][] = [
    ["POST", failed("ECONNRESET"), undefined, true],
    ["DELETE", failed("EPIPE"), undefined, true],
    ["POST", failed("ABORT_ERR"), 60_000, true],
    ["POST", failed("ECONNREFUSED"), undefined, false],
    ["POST", failed("ENOENT"), undefined, false],
    ["POST", failed("EACCES"), undefined, false],
    ["GET", failed("ECONNRESET"), undefined, false],
    ["GET", failed("ABORT_ERR"), 30_000, false],
  ];
  for (const [method, error, waitedMs, open] of cases) {
    const { code, message, hints } = noAnswer(method, error, waitedMs);
    assert.equal(code, "cli.no-daemon");
    assert.equal(hints.join("\n").includes("may yet be"), open, `${method} ${error.message}`);
    assert.equal(message.includes("within"), waitedMs !== undefined);
  }
});
