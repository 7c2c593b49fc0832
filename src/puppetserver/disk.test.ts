import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { readFreeBytes } from "../host/files.ts";
import { judgeRoom } from "./disk.ts";

const MIB = 1024 * 1024;

test("too little room is told once, and enough is more than that", () => {
  const full = "the disk of /var is full: it serves again with 64 MiB free";
  const cases: [number, string, string][] = [
    [1000, "", ""],
    [32, "", ""],
    [31, "", full],
    [0, "", full],
    [40, full, full],
    [63, full, full],
    [64, full, ""],
  ];
  for (const [freeMib, was, expected] of cases) {
    assert.equal(judgeRoom(freeMib * MIB, was, "/var"), expected, `${freeMib} MiB after "${was}"`);
  }
});

test("free space is read of a folder that is there", async () => {
  assert.ok((await readFreeBytes(tmpdir())) >= 0);
  await assert.rejects(readFreeBytes("/nowhere/at/all"), { code: "ENOENT" });
});
