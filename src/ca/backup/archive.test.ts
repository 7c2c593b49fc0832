import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Fault } from "../../base/fault.ts";
import { isArchivePath, pack, unpack, type ArchiveFile } from "./archive.ts";
import { manifestOf } from "./testing/manifest.ts";

async function* whole(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function read(bytes: AsyncIterable<Buffer>): Promise<unknown[]> {
  const parts: unknown[] = [];
  for await (const part of unpack(bytes)) parts.push(part);
  return parts;
}

/** An archive of these lines, whatever they are. */
function crafted(...lines: string[]): AsyncIterable<Buffer> {
  return whole(gzipSync([JSON.stringify(manifestOf()), ...lines].join("\n").concat("\n")));
}

const fileLine = (path: string) => JSON.stringify({ path, bytes: "x" });

void test("unpack gives back what pack was given, byte for byte", async () => {
  const manifest = manifestOf();
  const files: ArchiveFile[] = [
    { path: "ca_crt.pem", content: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)) },
    { path: "inventory.txt", content: Buffer.alloc(0) },
    { path: "signed/web.lab.test.pem", content: Buffer.from("größer als ASCII\n") },
    { path: "requests/_a-b.lab.test.pem", content: Buffer.from("x") },
  ];
  const parts = await read(pack(manifest, files));
  assert.deepEqual(parts, [{ manifest }, ...files.map((file) => ({ file }))]);
});

void test("pack fails with what its files fail with", async () => {
  function* failing(): Generator<ArchiveFile> {
    yield { path: "serial", content: Buffer.from("0001") };
    throw new Fault("cli.interrupted", "interrupted");
  }
  const reading = async () => {
    for await (const piece of pack(manifestOf(), failing())) assert.ok(piece.length > 0);
  };
  await assert.rejects(reading(), { code: "cli.interrupted" });
});

const STRANGE = [
  "../ca_key.pem",
  "/etc/passwd",
  "/ca_key.pem",
  "./ca_key.pem",
  "signed/../../x.pem",
  "signed/../ca_key.pem",
  "signed/..pem",
  "signed/.pem",
  "signed/a/b.pem",
  "signed/Web.lab.test.pem",
  "signed/web.lab.test",
  "signed/web.lab.test.pem/",
  "signed/web.lab.test.pem\n",
  "signed/web\u0000.pem",
  "signed\\web.pem",
  "private/ca_key.pem",
  "ca_key.pem ",
  "node.json",
  "signed",
  "",
];

void test("unpack takes only names that a CA directory has, each once, and knows no links", async () => {
  for (const path of STRANGE) {
    assert.equal(isArchivePath(path), false, path);
    await assert.rejects(read(crafted(fileLine(path))), { code: "ca.backup-damaged" }, path);
  }
  const lines = [
    [fileLine("serial"), fileLine("serial")],
    [JSON.stringify({ path: "serial", link: "/etc/passwd" })],
    [JSON.stringify({ path: "serial", bytes: "x", link: "/etc/passwd" })],
    [JSON.stringify({ path: ["serial"], bytes: "x" })],
    ["{}"],
    ["no JSON"],
    [""],
    [JSON.stringify(manifestOf())],
  ];
  for (const some of lines) {
    await assert.rejects(read(crafted(...some)), { code: "ca.backup-damaged" }, some.join());
  }
});

void test("unpack refuses what isn't whole, or no archive", async () => {
  const manifest = JSON.stringify(manifestOf());
  const bad: Record<string, Buffer> = {
    nothing: Buffer.alloc(0),
    "no gzip": Buffer.from("hello"),
    "an empty text": gzipSync(""),
    "no manifest": gzipSync(`${fileLine("serial")}\n`),
    "a manifest of another kind": gzipSync('{"format":2}\n'),
    "half a line": gzipSync(`${manifest}\n{"path":"ser`),
    "half a gzip": gzipSync(`${manifest}\n`).subarray(0, -10),
  };
  for (const [what, bytes] of Object.entries(bad)) {
    await assert.rejects(read(whole(bytes)), { code: "ca.backup-damaged" }, what);
  }
});
