import assert from "node:assert/strict";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createLog } from "../../base/log.ts";
import { entryOf } from "./entry.ts";
import { openOwnFile, OWN_ENTRIES_MAX } from "./own-file.ts";

let folder: string;
let logged: string[];
const log = createLog((line) => logged.push(line));
beforeEach(async () => {
  logged = [];
  folder = await mkdtemp(join(tmpdir(), "understudy-history-"));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const entry = (number: number, what = `event ${number}`) =>
  entryOf({ kind: "member", what, atMs: 1000 + number }, { member: "s1", number });

async function write(count: number, from = 1) {
  const file = await openOwnFile(folder, log);
  for (let number = from; number < from + count; number += 1) file.add(entry(number));
  await file.written();
  return file;
}

test("the own file is read again as it was: entries, numbers, what was sent and seen", async () => {
  const file = await write(3);
  file.setSent(2);
  file.setFacts({ "leader ": { state: "yes" } });
  await file.written();
  const again = await openOwnFile(folder, log);
  assert.deepEqual(
    again.entries(),
    [1, 2, 3].map((number) => entry(number)),
  );
  assert.equal(again.nextNumber(), 4);
  assert.equal(again.sent(), 2);
  assert.deepEqual(again.facts(), { "leader ": { state: "yes" } });
});

test("an entry is on disk as soon as it is written, without an end", async () => {
  await write(1);
  assert.match(await readFile(join(folder, "entries"), "utf8"), /"event 1".*\n$/);
});

test("a torn line costs that entry only, and doesn't swallow the next", async () => {
  await write(2);
  await appendFile(join(folder, "entries"), '{"atMs":5,"member":"s1","num');
  await write(1, 3);
  const again = await openOwnFile(folder, log);
  assert.deepEqual(
    again.entries().map(({ number }) => number),
    [1, 2, 3],
  );
});

test("spoilt files are as none, and numbers that were given don't come again", async () => {
  const file = await write(5);
  file.setSent(5);
  await file.written();
  await writeFile(join(folder, "entries"), Buffer.from([0xff, 0x00, 0x0a, 0x7b]));
  const again = await openOwnFile(folder, log);
  assert.deepEqual(again.entries(), []);
  assert.equal(again.nextNumber(), 6);
  await writeFile(join(folder, "state.json"), "null");
  const anew = await openOwnFile(folder, log);
  assert.equal(anew.nextNumber(), 1);
  assert.deepEqual(anew.facts(), {});
});

test("the own file is bounded, and keeps the newest", async () => {
  await write(OWN_ENTRIES_MAX + 1500);
  const lines = (await readFile(join(folder, "entries"), "utf8")).trimEnd().split("\n");
  assert.ok(lines.length <= OWN_ENTRIES_MAX + 1000, `${lines.length} lines`);
  const again = await openOwnFile(folder, log);
  assert.equal(again.entries().length, OWN_ENTRIES_MAX);
  assert.equal(again.entries().at(-1)?.number, OWN_ENTRIES_MAX + 1500);
});

test("a folder that can't be written is logged once, and costs nobody anything", async () => {
  const blocked = join(folder, "file");
  await writeFile(blocked, "");
  const file = await openOwnFile(join(blocked, "below"), log);
  file.add(entry(1));
  file.add(entry(2));
  await file.written();
  assert.equal(file.entries().length, 2);
  assert.equal(logged.length, 1);
});
