// backup --check and restore --dir as they are typed, on a machine that has neither Puppet nor a
// cluster.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pack } from "../ca/backup/archive.ts";
import { COST_MIN, seal } from "../ca/backup/seal.ts";
import { manifestOf } from "../ca/backup/testing/manifest.ts";
import { createAuthority } from "../ca/create.ts";
import { tryRun } from "../host/process.ts";

const MAIN = join(import.meta.dirname, "..", "main.ts");
const PASSPHRASE = "correct horse battery staple";

let folder: string;
let file: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-cli-backup-"));
  file = join(folder, "ca.backup");
  const cadir = join(folder, "original");
  await createAuthority({ cadir, caName: "Puppet CA: s1.lab.test", keyBits: 2048 });
  const names = ["ca_crt.pem", "ca_key.pem", "ca_crl.pem", "serial", "inventory.txt"];
  const files = await Promise.all(
    names.map(async (path) => ({ path, content: await readFile(join(cadir, path)) })),
  );
  const manifest = manifestOf({ signed: 0, requests: 0 });
  await writeFile(file, seal(pack(manifest, files), PASSPHRASE, COST_MIN));
});
after(async () => rm(folder, { recursive: true, force: true }));

function understudy(args: readonly string[], input = `${PASSPHRASE}\n`) {
  return tryRun([process.execPath, MAIN, "ca", ...args, "--passphrase-file", "-"], { input });
}

void test("ca backup --check prints what is in a backup, as text and as JSON", async () => {
  const text = await understudy(["backup", "--check", file]);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /is whole: 0 signed certificates/);
  const json = await understudy(["backup", "--check", file, "--json"]);
  const said = JSON.parse(json.stdout) as { file: string; crlNumber: number };
  assert.deepEqual([said.file, said.crlNumber], [file, manifestOf().crlNumber]);
});

void test("ca backup --check fails with the code of what is wrong", async () => {
  const wrong = await understudy(["backup", "--check", file], "another\n");
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^error ca\.backup-passphrase: /);
  const none = await understudy(["backup", "--check", join(folder, "none"), "--json"]);
  assert.equal(none.code, 1);
  assert.equal((JSON.parse(none.stdout) as { error: { code: string } }).error.code, "cli.option");
  const other = await understudy(["backup", "--check", MAIN]);
  assert.match(other.stderr, /^error ca\.backup-format: /);
});

const ROOT = process.getuid?.() === 0 ? {} : { skip: "only root may restore" };
void test("ca restore --dir makes a CA directory anywhere, once", ROOT, async () => {
  const parent = join(folder, "elsewhere");
  await mkdir(parent);
  const cadir = join(parent, "ca");
  const done = await understudy(["restore", file, "--dir", cadir]);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /understudy init --name puppet\.lab\.test/);
  const key = (at: string) => readFile(join(at, "ca_key.pem"), "utf8");
  assert.equal(await key(cadir), await key(join(folder, "original")));
  const again = await understudy(["restore", file, "--dir", cadir]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^error ca\.restore-refused: .* has this CA already/);
  assert.deepEqual(await readdir(parent), ["ca"]);
});
