import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../../base/fault.ts";
import { COST_MIN, seal, unlock } from "./seal.ts";

const PASSPHRASE = "correct horse battery staple";
const CHUNK = 64 * 1024;
const SEALED_CHUNK = CHUNK + 16;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-seal-"));
});
after(async () => rm(folder, { recursive: true, force: true }));

async function* piecesOf(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function sealed(plain: Buffer, pieces = 10_000): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of seal(piecesOf(plain, pieces), PASSPHRASE, COST_MIN)) parts.push(part);
  return Buffer.concat(parts);
}

/** What opens of `bytes`, or the code of the fault. */
async function opened(bytes: Buffer, passphrase = PASSPHRASE): Promise<Buffer | string> {
  const path = join(folder, "file");
  await writeFile(path, bytes);
  const file = await open(path, "r");
  try {
    const parts: Buffer[] = [];
    for await (const part of (await unlock(file, passphrase)).read()) parts.push(part);
    return Buffer.concat(parts);
  } catch (error) {
    if (isFault(error, "ca")) return error.code;
    throw error;
  } finally {
    await file.close();
  }
}

function headerOf(bytes: Buffer): Buffer {
  return bytes.subarray(0, bytes.indexOf("\n") + 1);
}

function flipped(bytes: Buffer, at: number, bit = 0): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

void test("unlock gives back what seal was given, whatever its length", async () => {
  for (const length of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK]) {
    const plain = randomBytes(length);
    const bytes = await sealed(plain);
    assert.deepEqual(await opened(bytes), plain, `${length} bytes`);
    assert.ok(length < 64 || !bytes.includes(plain.subarray(0, 64)), "it is encrypted");
  }
  const bytes = await sealed(Buffer.from("small"), 1);
  assert.deepEqual(await opened(bytes), Buffer.from("small"));
});

void test("two files of one content and passphrase share nothing", async () => {
  const plain = Buffer.alloc(1000);
  const [one, two] = [await sealed(plain), await sealed(plain)];
  assert.notDeepEqual(one.subarray(-1016), two.subarray(-1016));
});

void test("unlock tells a wrong passphrase from damage", async () => {
  const bytes = await sealed(randomBytes(2 * CHUNK));
  assert.equal(await opened(bytes, `${PASSPHRASE} `), "ca.backup-passphrase");
  assert.equal(await opened(bytes, ""), "ca.backup-passphrase");
  assert.equal(await opened(flipped(bytes, bytes.length - 1)), "ca.backup-damaged");
});

void test("a bit that is flipped anywhere is found", async () => {
  const bytes = await sealed(randomBytes(2 * CHUNK + 100));
  const header = headerOf(bytes).length;
  const places = [
    ...Array.from({ length: header }, (_, at) => at),
    header,
    header + CHUNK - 1,
    header + CHUNK,
    header + SEALED_CHUNK - 1,
    header + SEALED_CHUNK,
    header + 2 * SEALED_CHUNK - 1,
    header + 2 * SEALED_CHUNK,
    bytes.length - 17,
    bytes.length - 16,
    bytes.length - 1,
  ];
  for (const at of places) {
    assert.match(String(await opened(flipped(bytes, at, at % 8))), /^ca\.backup-/, `byte ${at}`);
  }
});

void test("what is cut off, goes on, or has changed places is found", async () => {
  const bytes = await sealed(randomBytes(3 * CHUNK));
  const header = headerOf(bytes).length;
  const chunk = (index: number) =>
    bytes.subarray(header + index * SEALED_CHUNK, header + (index + 1) * SEALED_CHUNK);
  const head = bytes.subarray(0, header);
  const changed: Record<string, Buffer> = {
    "one byte less": bytes.subarray(0, -1),
    "without its last chunk": bytes.subarray(0, -SEALED_CHUNK),
    "only its first chunk": bytes.subarray(0, header + SEALED_CHUNK),
    "in the middle of a tag": bytes.subarray(0, header + SEALED_CHUNK - 8),
    "no chunk at all": head,
    "one byte more": Buffer.concat([bytes, Buffer.from("x")]),
    "the last chunk twice": Buffer.concat([bytes, chunk(2)]),
    "two chunks swapped": Buffer.concat([head, chunk(1), chunk(0), chunk(2)]),
    "a chunk of another file": Buffer.concat([
      head,
      chunk(0),
      (await sealed(randomBytes(3 * CHUNK))).subarray(header + SEALED_CHUNK),
    ]),
  };
  for (const [what, other] of Object.entries(changed)) {
    assert.match(String(await opened(other)), /^ca\.backup-(damaged|passphrase)$/, what);
  }
});

void test("a header that asks for another cost, or is none, is refused before a key is made", async () => {
  const bytes = await sealed(Buffer.from("x"));
  const header = JSON.parse(headerOf(bytes).toString()) as Record<string, unknown>;
  const rest = bytes.subarray(headerOf(bytes).length);
  const changes: Record<string, unknown>[] = [
    { n: 2 ** 31 },
    { n: 2 ** 19 },
    { n: 3 * 2 ** 14 },
    { n: 2 },
    { n: -1 },
    { n: 1e300 },
    { r: 2 ** 20 },
    { p: 1000 },
    { chunk: 2 ** 40 },
    { cipher: "aes-256-cbc" },
    { kdf: "none" },
    { format: "understudy-ca-backup-2" },
    { salt: "" },
    { more: true },
  ];
  const lines = [
    ...changes.map((change) => JSON.stringify({ ...header, ...change })),
    "",
    "null",
    "[]",
    "-----BEGIN CERTIFICATE-----",
    JSON.stringify({ ...header, pad: "x".repeat(5000) }),
  ];
  for (const line of lines) {
    const other = Buffer.concat([Buffer.from(`${line}\n`), rest]);
    assert.equal(await opened(other), "ca.backup-format", line.slice(0, 200));
  }
  assert.equal(await opened(Buffer.alloc(0)), "ca.backup-format");
  assert.equal(await opened(randomBytes(3000)), "ca.backup-format");
});
