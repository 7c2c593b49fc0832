// The whole way: a CA that signs and revokes, its backup, its restore, and a cluster that goes on
// from there. openssl judges what is restored.

import assert from "node:assert/strict";
import {
  chmod,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { NodeFile, Settings } from "../../cluster/schema.ts";
import { wallMs } from "../../host/clock.ts";
import { run, tryRun } from "../../host/process.ts";
import { CA_PREFIX } from "../record.ts";
import { createAuthority } from "../create.ts";
import { importAuthority } from "../import.ts";
import { Mirror } from "../mirror.ts";
import { serialOf } from "../serial.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "../testing/fleet.ts";
import { writeBackup } from "./backup.ts";
import { checkBackup } from "./check.ts";
import type { Manifest } from "./manifest.ts";
import { restoreBackup, type RestoreOptions, type Restored } from "./restore.ts";
import { RESTORE_JUMP } from "./restore-plan.ts";
import { COST_MIN } from "./seal.ts";

const PASSPHRASE = "correct horse battery staple";
const node = NodeFile.parse({
  format: 1,
  clusterId: "00000000-0000-4000-8000-000000000000",
  generation: 1,
  id: "s1.lab.test",
  role: "server",
  address: "10.0.0.1",
  sharedName: "puppet.lab.test",
  phase: "ready",
  etcdEndpoints: ["https://10.0.0.1:9141"],
});

let fleet: Fleet;
let folder: string;
let one: TestServer;
let file: string;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(async () => {
  await fleet.reset();
  folder = await mkdtemp(join(fleet.folder, "backup-"));
  file = join(folder, "backup");
  one = await fleet.server("s1");
  await one.ca.repair();
  await enrol("good.test");
  await enrol("revoked.test");
  await enrol("waits.test", false);
  await one.ca.revoke({ names: ["revoked.test"] });
});

async function enrol(name: string, autosign = true): Promise<void> {
  fleet.settings.autosign = autosign;
  await one.ca.submit({ pem: await agentRequest(name), key: name });
}

function serialNumberOf(name: string): number {
  return one.ca.list().find((entry) => entry.name === name)?.serial_number ?? 0;
}

async function backUp(
  more: { force?: boolean; path?: string; signal?: AbortSignal } = {},
): Promise<Manifest> {
  const { kvs, revision } = await one.etcd.range(CA_PREFIX);
  const mirror = new Mirror();
  mirror.replace(kvs, revision);
  return writeBackup({
    snapshot: {
      mirror,
      settings: Settings.parse({ sharedName: "puppet.lab.test" }),
      revision,
      source: "etcd",
      because: "",
    },
    node,
    cadir: one.cadir,
    path: file,
    force: false,
    passphrase: PASSPHRASE,
    cost: COST_MIN,
    report: () => undefined,
    signal: new AbortController().signal,
    ...more,
  });
}

async function restore(cadir: string, more: Partial<RestoreOptions> = {}): Promise<Restored> {
  const handle = await open(file, "r");
  try {
    const checked = await checkBackup(handle, PASSPHRASE);
    return await restoreBackup({
      checked,
      cadir,
      replace: false,
      owner: undefined,
      member: undefined,
      running: undefined,
      nowMs: wallMs(),
      report: () => undefined,
      signal: new AbortController().signal,
      ...more,
    });
  } finally {
    await handle.close();
  }
}

/** Files below `cadir` with their content. */
async function content(cadir: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(cadir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files[path.slice(cadir.length + 1)] = await readFile(path, "utf8");
  }
  return files;
}

function verify(cadir: string, name: string) {
  const at = (path: string) => join(cadir, path);
  const lists = ["-crl_check_all", "-CRLfile", at("ca_crl.pem"), "-CAfile", at("ca_crt.pem")];
  return tryRun(["openssl", "verify", ...lists, at(`signed/${name}.pem`)]);
}

void test("what is restored is the CA directory that was there, with its serial and CRL number far above", async () => {
  const manifest = await backUp();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual([manifest.signed, manifest.requests, manifest.revoked], [2, 1, 1]);
  const cadir = join(folder, "ca");
  const restored = await restore(cadir);

  const [was, now] = [await content(one.cadir), await content(cadir)];
  assert.equal(Number.parseInt(now["serial"] ?? "", 16), restored.serialNext);
  assert.equal(restored.serialNext, manifest.serialNext + RESTORE_JUMP);
  for (const name of ["serial", "ca_crl.pem"]) {
    assert.notEqual(now[name], was[name]);
    delete was[name];
    delete now[name];
  }
  const lines = (text: string | undefined) => (text ?? "").split("\n").sort();
  assert.deepEqual(lines(now["inventory.txt"]), lines(was["inventory.txt"]));
  delete was["inventory.txt"];
  delete now["inventory.txt"];
  assert.deepEqual(now, was);
  for (const [name, mode] of Object.entries({
    "ca_key.pem": 0o600,
    "root_key.pem": 0o600,
    "ca_crt.pem": 0o644,
    signed: 0o755,
  })) {
    assert.equal((await stat(join(cadir, name))).mode & 0o777, mode, name);
  }
  const openssl = async (...args: string[]) => run(["openssl", ...args], { cwd: cadir });
  assert.equal(
    await openssl("rsa", "-in", "ca_key.pem", "-pubout"),
    await openssl("x509", "-in", "ca_crt.pem", "-noout", "-pubkey"),
  );
  const crl = await openssl("crl", "-in", "ca_crl.pem", "-noout", "-crlnumber");
  assert.equal(
    BigInt(/0x[0-9A-F]+/i.exec(crl)?.[0] ?? "0"),
    BigInt(manifest.crlNumber + RESTORE_JUMP),
  );
  assert.equal((await verify(cadir, "good.test")).ok, true);
  assert.match((await verify(cadir, "revoked.test")).stderr, /certificate revoked/);
  assert.deepEqual(await readdir(folder), ["backup", "ca"]);
});

void test("a new cluster goes on from a restored CA: nothing that was signed after the backup meets it again", async () => {
  await backUp();
  await enrol("late.test");
  const late = serialNumberOf("late.test");
  const cadir = join(folder, "ca");
  await restore(cadir);
  await fleet.reset();
  const etcd = fleet.cluster.client();
  const { oddities } = await importAuthority({ etcd, cadir });
  // Revoked names stay in signed/ until they are cleaned.
  assert.deepEqual(
    oddities.map(({ kind }) => kind),
    ["revoked-file"],
  );
  one = await fleet.server("s2", { cadir, etcd });
  await one.ca.repair();
  assert.deepEqual(
    one.ca.list().map(({ name, state }) => [name, state]),
    [
      ["waits.test", "requested"],
      ["good.test", "signed"],
      ["revoked.test", "revoked"],
    ],
  );
  await enrol("new.test");
  assert.ok(serialNumberOf("new.test") > late + RESTORE_JUMP);
  // It is in no list, and can be revoked all the same.
  const outcome = await one.ca.revoke({ serials: [serialOf(late)] });
  assert.deepEqual(
    outcome.results.map(({ ok }) => ok),
    [true],
  );
  assert.ok(one.ca.revocations().some(({ serial }) => serial === serialOf(late)));
  assert.equal((await verify(cadir, "good.test")).ok, true);
});

void test("checkBackup says what is in it, and refuses another passphrase", async () => {
  const manifest = await backUp();
  const handle = await open(file, "r");
  const checked = await checkBackup(handle, PASSPHRASE);
  assert.deepEqual(checked.manifest, manifest);
  await assert.rejects(checkBackup(handle, "another passphrase"), { code: "ca.backup-passphrase" });
  await handle.close();
});

void test("writeBackup replaces no file unasked, and leaves nothing of one that fails", async () => {
  await writeFile(file, "an older backup");
  await assert.rejects(backUp(), { code: "ca.file-there" });
  assert.equal(await readFile(file, "utf8"), "an older backup");
  const aborted = AbortSignal.abort();
  for (const force of [true, false]) {
    const path = join(folder, `other-${force}`);
    await assert.rejects(backUp({ path, force, signal: aborted }), { code: "cli.interrupted" });
  }
  await assert.rejects(backUp({ force: true, signal: aborted }), { code: "cli.interrupted" });
  await assert.rejects(backUp({ path: join(folder, "nowhere/backup") }), {
    code: "ca.not-written",
  });
  assert.deepEqual(await content(folder), { backup: "an older backup" });
  await backUp({ force: true });
  assert.deepEqual(await readdir(folder), ["backup"]);
  await restore(join(folder, "ca"));
});

void test("writeBackup needs the CA's own key, and a record that accounts for its CRL", async () => {
  const key = join(one.cadir, "ca_key.pem");
  const kept = await readFile(key);
  await writeFile(key, await run(["openssl", "genrsa", "-traditional", "2048"]));
  await assert.rejects(backUp(), { code: "ca.no-key" });
  await rm(key);
  await assert.rejects(backUp(), { code: "ca.no-key" });
  await writeFile(key, kept);
  const { kvs } = await one.etcd.range(`${CA_PREFIX}revoked/`);
  await one.etcd.transact({ when: [], then: kvs.map((kv) => ({ delete: kv.key })) });
  await assert.rejects(backUp(), { code: "ca.crl-mismatch" });
  assert.deepEqual(await readdir(folder), []);
});

void test("restoreBackup moves another CA aside when it is told to, and never touches the same one", async () => {
  await backUp();
  const cadir = join(folder, "ca");
  await createAuthority({ cadir, caName: "Puppet CA: fresh.lab.test", keyBits: 2048 });
  const fresh = await content(cadir);
  await assert.rejects(restore(cadir), { code: "ca.restore-refused", message: /fresh\.lab\.test/ });
  assert.deepEqual(await content(cadir), fresh);
  const { movedTo = "" } = await restore(cadir, { replace: true });
  assert.deepEqual(await content(movedTo), fresh);
  const restored = await content(cadir);
  await assert.rejects(restore(cadir, { replace: true }), { code: "ca.restore-refused" });
  // A part of one, such as a key alone, is somebody's too.
  await rm(join(cadir, "ca_crt.pem"));
  await assert.rejects(restore(cadir), { code: "ca.restore-refused" });
  const again = await restore(cadir, { replace: true, nowMs: wallMs() + 5000 });
  assert.deepEqual(Object.keys(await content(cadir)), Object.keys(restored));
  assert.notEqual(again.movedTo, movedTo);
});

void test("restoreBackup that is interrupted or fails leaves what was there, and the next one succeeds", async () => {
  await backUp();
  const cadir = join(folder, "ca");
  await createAuthority({ cadir, caName: "Puppet CA: fresh.lab.test", keyBits: 2048 });
  const fresh = await content(folder);
  const signal = AbortSignal.abort();
  await assert.rejects(restore(cadir, { replace: true, signal }), { code: "cli.interrupted" });
  assert.deepEqual(await content(folder), fresh);
  const nowhere = join(folder, "nowhere/ca");
  await writeFile(join(folder, "nowhere"), "a file in the way");
  await assert.rejects(restore(nowhere), { code: "ca.not-written" });
  // One that was killed has left its folder, keys and all.
  const left = join(folder, ".ca.understudy-new");
  await mkdir(left);
  await writeFile(join(left, "ca_key.pem"), "half a key");
  await chmod(left, 0o700);
  await restore(cadir, { replace: true });
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith(".")),
    [],
  );
  assert.equal((await verify(cadir, "good.test")).ok, true);
});

void test("an archive whose CA isn't whole is refused before anything is written", async () => {
  await backUp();
  const bytes = await readFile(file);
  for (const at of [bytes.length - 1, Math.floor(bytes.length / 2), 300]) {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    await writeFile(file, copy);
    await assert.rejects(restore(join(folder, "ca")), { code: /^ca\.backup-/ });
  }
  await writeFile(file, bytes.subarray(0, -100));
  await assert.rejects(restore(join(folder, "ca")), { code: /^ca\.backup-/ });
  assert.deepEqual(await readdir(folder), ["backup"]);
});
