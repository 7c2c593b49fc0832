import assert from "node:assert/strict";
import { test } from "node:test";
import { writeFault } from "./backup.ts";

test("writeFault says what helps: another name, room, or --force where there are no hard links", () => {
  const failed = (code: string, syscall: string) =>
    Object.assign(new Error(`${code}: no, ${syscall}`), { code, syscall });
  for (const [error, code, hint] of [
    [failed("EEXIST", "link"), "ca.file-there", /another name, or --force/],
    [failed("ENOSPC", "write"), "ca.not-written", /Is there room/],
    // FAT; then a network share.
    [failed("EPERM", "link"), "ca.not-written", /no hard links.*--force/],
    [failed("ENOTSUP", "link"), "ca.not-written", /no hard links.*--force/],
    [failed("ENOSPC", "link"), "ca.not-written", /Is there room/],
    [failed("EPERM", "open"), "ca.not-written", /root may write to/],
  ] as const) {
    const fault = writeFault("/mnt/safe/ca.backup", error);
    assert.equal(fault.code, code, error.message);
    assert.match(fault.hints.join("\n"), hint, error.message);
  }
});
