import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { ByteKeeper, createTextKeeper, type Place } from "./kept.ts";

const MEGABYTE = 1024 * 1024;

/** Keeps some megabytes in pieces of all sizes, and compares what comes back. */
function keepAndCompare(keeper: ByteKeeper): void {
  const all = [0, 1, 1489, MEGABYTE - 1, 2 * MEGABYTE, 5, 700_000, 700_000, MEGABYTE, 3].map(
    (length) => randomBytes(length),
  );
  const places = all.map((bytes) => keeper.keep(bytes.toString("base64"), "base64"));
  const backwards = [...places.entries()].reverse();
  for (const read of [(place: Place) => keeper.read(place), keeper.reader()]) {
    for (const [index, place] of [...places.entries(), ...backwards]) {
      assert.ok(read(place).equals(all[index] ?? Buffer.alloc(0)), `number ${index}`);
    }
  }
  assert.equal(keeper.read(keeper.keep("zwölf ☂", "utf8")).toString(), "zwölf ☂");
}

void test("ByteKeeper gives back what it keeps, in memory or on disk", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-kept-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  keepAndCompare(new ByteKeeper());
  const onDisk = new ByteKeeper(folder);
  keepAndCompare(onDisk);
  assert.deepEqual(await readdir(folder), []);
  onDisk.close();
});

void test("ByteKeeper's reader gives small texts, forwards, backwards, and those kept meanwhile", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-kept-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const keeper = new ByteKeeper(folder);
  t.after(() => keeper.close());
  const textOf = (number: number) => `text ${number} `.repeat(90);
  const keep = (count: number) =>
    Array.from({ length: count }, (_, number) => keeper.keep(textOf(number), "utf8"));
  const places = keep(3000);
  const read = keeper.reader();
  for (const [number, place] of places.entries()) {
    assert.equal(read(place).toString(), textOf(number));
    // Further pieces go to the scratch file meanwhile.
    if (number % 500 === 0) keep(500);
  }
  for (const [number, place] of [...places.entries()].reverse()) {
    assert.equal(read(place).toString(), textOf(number));
  }
});

void test("ByteKeeper hands out bytes that stay what they are when more is kept", () => {
  const keeper = new ByteKeeper();
  const first = keeper.read(keeper.keep(Buffer.alloc(600_000, 1).toString("base64"), "base64"));
  for (const fill of [2, 3]) keeper.keep(Buffer.alloc(900_000, fill).toString("base64"), "base64");
  assert.ok(first.every((byte) => byte === 1));
});

void test("ByteKeeper keeps all in memory, and says so, where the disk takes nothing", () => {
  const logged: string[] = [];
  const log = createLog((line) => logged.push(line));
  keepAndCompare(new ByteKeeper(join(tmpdir(), "understudy-none", "at all"), log));
  assert.match(logged.join("\n"), /no scratch file/);
});

void test("createTextKeeper gives one string for equal ones that follow each other", () => {
  const keep = createTextKeeper();
  assert.deepEqual(["a", "a", "b", "a"].map(keep), ["a", "a", "b", "a"]);
});
