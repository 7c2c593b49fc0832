import assert from "node:assert/strict";
import { test } from "node:test";
import { type DiskStatus, diskWarnings, judgeDisk } from "./disk-status.ts";
import { judge, three } from "./testing/status.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const disk = (freeBytes: number, sizeBytes: number, files?: DiskStatus["files"]): DiskStatus => ({
  folder: "/var/lib/understudy",
  freeBytes,
  sizeBytes,
  ...(files && { files }),
});

test("judgeDisk speaks when less than a tenth is free, of a large disk less than 5 GiB", () => {
  const short = (mib: number) => `less than ${mib} MiB are free`;
  const cases: [string, DiskStatus, string][] = [
    ["a small one with room", disk(103 * MIB, GIB), ""],
    ["a small one", disk(101 * MIB, GIB), short(102)],
    ["one of 40 GiB with a tenth", disk(4 * GIB, 40 * GIB), ""],
    ["one of 40 GiB", disk(4 * GIB - 1, 40 * GIB), short(4096)],
    ["a large one with 5 GiB", disk(5 * GIB, 2000 * GIB), ""],
    ["a large one", disk(5 * GIB - 1, 2000 * GIB), short(5120)],
    ["a full one", disk(0, 40 * GIB), short(4096)],
    ["one that has no size, as a pseudo file system", disk(0, 0), ""],
    ["one that has inodes", disk(GIB, 2 * GIB, { free: 13_108, all: 131_072 }), ""],
    [
      "one that lacks inodes",
      disk(GIB, 2 * GIB, { free: 13_106, all: 131_072 }),
      "less than 13107 inodes are free",
    ],
    ["a large one that has inodes", disk(GIB, 2 * GIB, { free: 100_000, all: 10_000_000 }), ""],
    [
      "a large one that lacks inodes",
      disk(GIB, 2 * GIB, { free: 99_999, all: 10_000_000 }),
      "less than 100000 inodes are free",
    ],
    ["one that lacks both", disk(0, GIB, { free: 0, all: 1000 }), short(102)],
  ];
  for (const [what, given, expected] of cases) assert.equal(judgeDisk(given), expected, what);
});

test("diskWarnings says the same while it becomes fuller, and names each disk", () => {
  const [one] = diskWarnings("s1", [disk(2 * GIB, 100 * GIB)]);
  assert.equal(
    one?.text,
    "s1's disk of /var/lib/understudy is nearly full: less than 5120 MiB are free.",
  );
  assert.deepEqual(diskWarnings("s1", [disk(GIB, 100 * GIB)]), [one]);
  assert.deepEqual(diskWarnings("s1", [disk(50 * GIB, 100 * GIB)]), []);
});

test("judgeStatus warns of a member's disk, and not of one that tells nothing of its disks", () => {
  const members = three("s2", { disks: [disk(0, GIB), { ...disk(0, GIB), folder: "/srv/ca" }] });
  const { problems } = judge(members);
  assert.deepEqual(
    problems.map(({ kind, subject, severity }) => [kind, subject, severity]),
    [
      ["disk-nearly-full", "s2 /var/lib/understudy", "warning"],
      ["disk-nearly-full", "s2 /srv/ca", "warning"],
    ],
  );
});
