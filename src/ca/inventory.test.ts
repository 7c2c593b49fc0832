import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseInventory, renderInventoryLine, renderPuppetTime } from "./inventory.ts";
import {
  compareSerials,
  parseSerial,
  parseSerialFile,
  renderSerial,
  renderSerialFile,
  SERIAL_MAX,
  serialOf,
} from "./serial.ts";

void test("parseInventory reads what renderInventoryLine wrote", () => {
  const time = fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1000);
  const line = fc.record(
    {
      serial: fc.integer({ min: 1, max: SERIAL_MAX }).map(serialOf),
      notBeforeMs: time,
      notAfterMs: time,
      certname: fc.constantFrom("a", "a1.lab.test", "x_y.z."),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const text = lines.map(renderInventoryLine).join("");
      assert.deepEqual(parseInventory(text), { lines, odd: [] });
    }),
  );
});

void test("parseInventory reads lines of server and CLI, and names the odd ones", () => {
  const text = [
    "0x0003 2026-11-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=a1.lab.test",
    "",
    "0x1f 2026-11-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=cli.lab.test",
    "garbage",
    "0x0004 2026-11-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=a b",
    "0x0005 2026-99-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=a",
    "0x00",
    "0x0006 2026-02-30T10:00:00UTC 2031-11-19T10:00:00UTC /CN=a",
    "0x0007 2026-11-19T24:00:00UTC 2031-11-19T10:00:00UTC /CN=a",
    `0x0008 2026-11-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=${"a".repeat(300)}`,
    `0x${"1".repeat(65)} 2026-11-19T10:00:00UTC 2031-11-19T10:00:00UTC /CN=a`,
  ].join("\n");
  const { lines, odd } = parseInventory(text);
  assert.deepEqual(
    lines.map(({ serial, certname }) => [serial, certname]),
    [
      ["00000003", "a1.lab.test"],
      ["0000001F", "cli.lab.test"],
    ],
  );
  assert.deepEqual(
    odd.map(({ number }) => number),
    [4, 5, 6, 7, 8, 9, 10, 11],
  );
  assert.equal(renderPuppetTime(0), "1970-01-01T00:00:00UTC");
});

void test("serials are written as each reader wants them", () => {
  assert.equal(serialOf(0x1fn), "0000001F");
  assert.equal(renderSerial("0000001F"), "0x001F");
  assert.equal(renderSerial("00012345"), "0x12345");
  assert.equal(renderSerialFile(3), "0003");
  for (const [text, value] of [
    ["0003", 3],
    ["002\n", 2],
    ["ff\n", 255],
    ["7FFFFFFF", SERIAL_MAX],
    ["80000000", undefined],
    ["", undefined],
    ["x", undefined],
  ] as const) {
    assert.equal(parseSerialFile(text), value, text);
  }
  assert.equal(parseSerial("0x1f"), "0000001F");
  assert.throws(() => parseSerial("zz"), { code: "ca.serial" });
  const long = serialOf(1n << 100n);
  assert.ok(compareSerials("FFFFFFFF", long) < 0 && compareSerials(long, "00000001") > 0);
});
