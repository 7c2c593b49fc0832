import assert from "node:assert/strict";
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  rmdir,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { CommandKind } from "./command.ts";
import type { SpooledHead } from "./frame.ts";
import { openHoldings } from "./holdings.ts";
import { openSpool, type Spool } from "./spool.ts";

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "courier-spool-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function head(id: number, kind: CommandKind = "report", certname = "a.test"): SpooledHead {
  return { id: String(id), takenMs: 1, kind, certname, producerMs: id, query: `n=${id}` };
}

const bodyOf = (id: number) => Buffer.from(`{"n":${id}}`.repeat(1 + (id % 3)));

async function fill(spool: Spool, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id += 1) {
    assert.equal(await spool.append(head(id), bodyOf(id)), id);
  }
}

async function assertHas(spool: Spool, from: number, to: number): Promise<void> {
  const entries = await spool.read(from, 10_000);
  assert.deepEqual(
    entries.map((entry) => [entry.seq, entry.head.id]),
    Array.from({ length: to - from + 1 }, (_, index) => [from + index, String(from + index)]),
  );
  for (const { seq } of entries) assert.deepEqual(await spool.body(seq), bodyOf(seq));
}

void test("Spool keeps commands over restarts and segments, byte for byte", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 500 });
  await fill(spool, 1, 40);
  await assertHas(spool, 1, 40);
  await spool.close();
  spool = await openSpool(folder, { segmentBytes: 500 });
  assert.equal(spool.next, 41);
  await assertHas(spool, 1, 40);
  await fill(spool, 41, 60);
  await assertHas(spool, 30, 60);
  assert.ok((await readdir(folder)).filter((name) => name.endsWith(".seg")).length > 5);
  await spool.close();
});

void test("Spool writes what comes at once in one go, in order", async (t) => {
  const spool = await openSpool(await folderFor(t));
  const seqs = await Promise.all(
    Array.from({ length: 200 }, (_, index) => spool.append(head(index + 1), bodyOf(index + 1))),
  );
  assert.deepEqual(
    seqs,
    [...seqs.keys()].map((index) => index + 1),
  );
  await assertHas(spool, 1, 200);
  await spool.close();
});

void test("Spool cuts off what a power cut tore, at whatever byte, and goes on from there", async (t) => {
  const folder = await folderFor(t);
  const first = await openSpool(folder);
  await fill(first, 1, 3);
  await first.close();
  const [name = ""] = await readdir(folder);
  const whole = await readFile(join(folder, name));
  for (let bytes = 0; bytes < whole.length; bytes += 7) {
    await writeFile(join(folder, name), whole);
    await truncate(join(folder, name), bytes);
    const spool = await openSpool(folder, { onDamage: async () => assert.fail("torn") });
    const left = spool.next - 1;
    assert.ok(left <= 2);
    await assertHas(spool, 1, left);
    await fill(spool, left + 1, left + 2);
    await assertHas(spool, 1, left + 2);
    await spool.close();
  }
  await writeFile(join(folder, name), whole);
  await appendFile(join(folder, name), Buffer.alloc(100, 0x55));
  const spool = await openSpool(folder);
  assert.equal(spool.next, 4);
  await spool.close();
});

void test("Spool says before it cuts off what was kept once, in its last segment and in others", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 500 });
  await fill(spool, 1, 20);
  await spool.close();
  const names = (await readdir(folder)).toSorted();
  const last = names.findLast((name) => name.endsWith(".seg")) ?? "";
  const segments = [last, names.find((name) => name.endsWith(".seg")) ?? ""];
  await rm(join(folder, names.find((name) => name.endsWith(".idx")) ?? ""));
  for (const name of segments) {
    const path = join(folder, name);
    const bytes = await readFile(path);
    bytes[40] = 0;
    await writeFile(path, bytes);
    const sizes: number[] = [];
    const onDamage = async () => void sizes.push((await readFile(path)).length);
    spool = await openSpool(folder, { segmentBytes: 500, onDamage });
    assert.deepEqual(sizes, [bytes.length], name);
    await spool.close();
  }
});

void test("Spool reads a segment whole whose index is damaged", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 300 });
  await fill(spool, 1, 20);
  await spool.close();
  const [index = ""] = (await readdir(folder)).filter((name) => name.endsWith(".idx"));
  await writeFile(join(folder, index), "\0\0\0\n");
  spool = await openSpool(folder, { segmentBytes: 300 });
  await assertHas(spool, 1, 20);
  await spool.close();
});

void test("Spool.drop deletes whole segments and never gives a number again", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 300 });
  await fill(spool, 1, 20);
  await spool.drop(10);
  assert.ok(spool.first > 1 && spool.first <= 11);
  await assertHas(spool, 11, 20);
  await spool.drop(20);
  assert.equal(spool.first, 21);
  assert.equal(spool.bytes, 0);
  const files = await readdir(folder);
  assert.deepEqual(files, ["0000000000000021.seg"], "nothing that takes room on a full disk");
  await spool.close();
  spool = await openSpool(folder);
  assert.equal(spool.next, 21);
  await fill(spool, 21, 22);
  await spool.close();
});

void test("Spool keeps what comes while others drop, each under a number of its own", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 500 });
  const COUNT = 300;
  const given = new Map<number, string>();
  let dropped = 0;
  const append = async (id: number) => {
    const seq = await spool.append(head(id), bodyOf(id));
    assert.ok(!given.has(seq), `${seq} was given twice`);
    given.set(seq, String(id));
  };
  // Several at a time, as when other couriers release and this one does.
  const drop = async () => {
    dropped = spool.next - 1;
    await Promise.all([spool.drop(dropped), spool.drop(dropped), spool.drop(dropped - 1)]);
  };
  const drops: Promise<void>[] = [];
  for (let id = 1; id <= COUNT; id += 3) {
    const appends = [append(id), append(id + 1)];
    drops.push(drop());
    appends.push(append(id + 2));
    await Promise.all(appends);
  }
  await Promise.all(drops);
  await spool.close();
  spool = await openSpool(folder, { segmentBytes: 500 });
  assert.equal(spool.next, COUNT + 1);
  for (let seq = dropped + 1; seq <= COUNT; seq += 1) {
    const id = given.get(seq);
    const [entry] = await spool.read(seq, 1);
    assert.deepEqual([entry?.seq, entry?.head.id], [seq, id]);
    assert.deepEqual(await spool.body(seq), bodyOf(Number(id)));
  }
  await spool.close();
});

void test("Spool reads a segment whose index was written before its last command", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 300 });
  await fill(spool, 1, 20);
  await spool.close();
  const [index = ""] = (await readdir(folder)).filter((name) => name.endsWith(".idx"));
  const lines = (await readFile(join(folder, index), "utf8")).trimEnd().split("\n");
  assert.ok(lines.length > 1);
  await writeFile(join(folder, index), `${lines.slice(0, -1).join("\n")}\n`);
  spool = await openSpool(folder, { segmentBytes: 300 });
  await assertHas(spool, 1, 20);
  await spool.close();
});

void test("Spool goes on in the same segment when the next can't be begun", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 1 });
  await fill(spool, 1, 1);
  const next = join(folder, "0000000000000002.seg");
  await mkdir(next);
  for (const id of [2, 3]) {
    await assert.rejects(spool.append(head(id), bodyOf(id)), { code: "courier.spool-failed" });
  }
  await assert.rejects(spool.drop(1));
  await assertHas(spool, 1, 1);
  await rmdir(next);
  await fill(spool, 2, 3);
  await spool.close();
  spool = await openSpool(folder);
  await assertHas(spool, 1, 3);
  await spool.close();
});

void test("Spool refuses what it couldn't read again, and keeps what came before", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder);
  await fill(spool, 1, 1);
  const strange = { ...head(2), contentType: "x".repeat(201) };
  await assert.rejects(spool.append(strange, bodyOf(2)), { code: "courier.spool-failed" });
  await fill(spool, 2, 2);
  await spool.close();
  spool = await openSpool(folder);
  await assertHas(spool, 1, 2);
  await spool.close();
});

void test("Spool.newestOf knows the newest of a kind for a certname, after a restart too", async (t) => {
  const folder = await folderFor(t);
  let spool = await openSpool(folder, { segmentBytes: 200 });
  for (const [id, producerMs] of [5, 9, 7].entries()) {
    await spool.append({ ...head(id, "facts"), producerMs }, bodyOf(id));
  }
  const wanted = { seq: 2, producerMs: 9 };
  assert.deepEqual(spool.newestOf("facts", "a.test"), wanted);
  assert.equal(spool.newestOf("catalog", "a.test"), undefined);
  await spool.close();
  spool = await openSpool(folder);
  assert.deepEqual(spool.newestOf("facts", "a.test"), wanted);
  await spool.close();
});

void test("Spool refuses what is over its limit, whole, and takes the next that fits", async (t) => {
  const spool = await openSpool(await folderFor(t), { bytesMax: 600 });
  await fill(spool, 1, 1);
  const large = spool.append(head(2), Buffer.alloc(1000));
  await assert.rejects(large, { code: "courier.spool-full" });
  await fill(spool, 2, 2);
  await assertHas(spool, 1, 2);
  await spool.close();
});

void test("Spool that leaves half of the disk refuses what would take more, until there is room", async (t) => {
  let free = 1024 ** 3;
  const readFree = async () => free;
  const body = Buffer.alloc(40 * 1024 * 1024);
  const spool = await openSpool(await folderFor(t), { leavesHalf: true, readFree });
  await spool.append(head(1), body);
  free = 36 * 1024 * 1024;
  await assert.rejects(spool.append(head(2), bodyOf(2)), { code: "courier.spool-full" });
  await spool.drop(1);
  await fill(spool, 2, 2);
  await spool.close();
  const greedy = await openSpool(await folderFor(t), { readFree });
  await greedy.append(head(1), body);
  await fill(greedy, 2, 2);
  free = 31 * 1024 * 1024;
  await assert.rejects(greedy.append(head(3), bodyOf(3)), { code: "courier.spool-full" });
  await greedy.close();
});

void test("Holdings keeps copies by their courier's numbers until they are released", async (t) => {
  const folder = await folderFor(t);
  let holdings = await openHoldings(folder, { segmentBytes: 200 });
  for (const seq of [1, 3, 2, 7, 8, 9]) {
    await holdings.keep("s2.test", seq, head(seq), bodyOf(seq));
    await holdings.keep("s2.test", seq, head(seq), bodyOf(seq));
  }
  const held = async () => (await holdings.of("s2.test")).held();
  assert.deepEqual(await held(), [
    [1, 3],
    [7, 9],
  ]);
  await holdings.release("s2.test", 7);
  assert.deepEqual(await held(), [[8, 9]]);
  const holding = await holdings.of("s2.test");
  const left = await holding.spool.read(holding.first(), 100);
  assert.deepEqual(
    left.map((entry) => entry.head.originSeq),
    [8, 9],
  );
  await holdings.close();
  holdings = await openHoldings(folder);
  assert.deepEqual((await held()).at(-1), [8, 9]);
  assert.deepEqual(
    holdings.all().map(({ origin }) => origin),
    ["s2.test"],
  );
  await assert.rejects(async () => holdings.keep("../x", 1, head(1), bodyOf(1)), RangeError);
  await holdings.close();
});

void test("Holdings releases copies behind some that a damaged disk has lost", async (t) => {
  const folder = await folderFor(t);
  let holdings = await openHoldings(folder, { segmentBytes: 200 });
  for (let seq = 1; seq <= 10; seq += 1) {
    await holdings.keep("s2.test", seq, head(seq), bodyOf(seq));
  }
  await holdings.close();
  const [name = ""] = (await readdir(join(folder, "s2.test"))).toSorted();
  const path = join(folder, "s2.test", name.replace("idx", "seg"));
  await rm(path.replace("seg", "idx"));
  await truncate(path, 20);
  holdings = await openHoldings(folder, { segmentBytes: 200 });
  await holdings.release("s2.test", 10);
  assert.equal((await holdings.of("s2.test")).spool.bytes, 0);
  await holdings.close();
});

void test("Holdings releases copies after some were delivered from here and dropped", async (t) => {
  const holdings = await openHoldings(await folderFor(t), { segmentBytes: 200 });
  const keep = async (from: number, to: number) => {
    for (let seq = from; seq <= to; seq += 1) {
      await holdings.keep("s2.test", seq, head(seq), bodyOf(seq));
    }
  };
  await keep(1, 10);
  await holdings.release("s2.test", 3);
  const holding = await holdings.of("s2.test");
  // Its courier was gone.
  await holding.spool.drop(10);
  await keep(11, 20);
  await holdings.release("s2.test", 20);
  assert.equal(holding.first(), 21);
  assert.equal(holding.spool.bytes, 0);
  await holdings.close();
});
