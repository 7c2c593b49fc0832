import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { BadRows, rowsIn } from "./rows.ts";

const MAX = 1000;

async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let from = 0;
  for (let index = 0; from < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    yield bytes.subarray(from, from + size);
    from += size;
  }
}

async function rowsOf(text: string, sizes: readonly number[] = [7], max = MAX): Promise<string[]> {
  const rows: string[] = [];
  for await (const row of rowsIn(pieces(Buffer.from(text), sizes), max)) rows.push(row);
  return rows;
}

void test("rowsIn gives the text of each row as it stands, whatever the pieces", async () => {
  const rows = [`{"a":1.0,"b":"]}\\"{["}`, `{"ä": [{}, [ ]] }`, "{}"];
  for (const size of [1, 2, 3, 1000]) {
    assert.deepEqual(await rowsOf(` [ ${rows.join(" ,\n")} ]\n`, [size]), rows);
  }
  assert.deepEqual(await rowsOf("[]"), []);
});

void test("rowsIn refuses what breaks off, is no array of objects, or is too long", async () => {
  const broken = ["", "[", "[{}", "[{},", `[{"a":"]`, `[{"a":[]`];
  const strange = ["{}", "[1]", "[{}{}]", "[,{}]", "[{},]", "[]]", "[[]]", "Connection refused"];
  for (const text of [...broken, ...strange]) {
    await assert.rejects(rowsOf(text), BadRows, text);
  }
  await assert.rejects(rowsOf(`[{"a":"${"x".repeat(100)}"}]`, [10], 50), BadRows);
});

void test("rowsIn slices any rows in any pieces as JSON.parse reads them", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
  const row = fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(fc.array(row), sizes, fc.nat(2), async (rows, cuts, indent) => {
      const sliced = await rowsOf(JSON.stringify(rows, null, indent), cuts, 1_000_000);
      const parsed = sliced.map((text): unknown => JSON.parse(text));
      assert.deepEqual(parsed, JSON.parse(JSON.stringify(rows)));
    }),
  );
});

void test("rowsIn never takes the beginning of an answer for all of it", async () => {
  const row = fc.dictionary(fc.string(), fc.jsonValue());
  await fc.assert(
    fc.asyncProperty(fc.array(row), fc.double({ min: 0, max: 1 }), async (rows, share) => {
      const text = Buffer.from(JSON.stringify(rows));
      const cut = text.subarray(0, Math.floor(share * (text.length - 1)));
      await assert.rejects(rowsOf(cut.toString("latin1"), [13], 1_000_000), BadRows);
    }),
  );
});
