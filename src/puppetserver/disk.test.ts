import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { judgeRoom, readRoom } from "./disk.ts";

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
    const room = { bytes: freeMib * MIB, files: 100_000 };
    assert.equal(judgeRoom(room, was, "/var"), expected, `${freeMib} MiB after "${was}"`);
  }
});

test("a disk that takes no more files is as full, whatever room it has", () => {
  const full = "the disk of /var takes no more files: it serves again with 2000 inodes free";
  const bytes = "the disk of /var is full: it serves again with 64 MiB free";
  const cases: [number, string, string][] = [
    [1000, "", ""],
    [999, "", full],
    [0, "", full],
    [1999, full, full],
    [2000, full, ""],
    [1500, bytes, ""],
  ];
  for (const [files, was, expected] of cases) {
    const room = { bytes: 1000 * MIB, files };
    assert.equal(judgeRoom(room, was, "/var"), expected, `${files} inodes after "${was}"`);
  }
});

test("free space is read of a folder that is there, and inodes where the file system counts them", async () => {
  const { bytes, files } = await readRoom(tmpdir());
  assert.ok(bytes >= 0 && files >= 0);
  // It has as many files as its kernel likes.
  assert.equal((await readRoom("/proc")).files, Number.POSITIVE_INFINITY);
  await assert.rejects(readRoom("/nowhere/at/all"), { code: "ENOENT" });
});
