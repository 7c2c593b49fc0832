import assert from "node:assert/strict";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { run } from "../host/process.ts";
import { writeAuthorityKey } from "./create.ts";
import { fileJob, serialJob } from "./directory-jobs.ts";
import { createDirectory } from "./directory.ts";
import { BLOCK_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

async function enrol(server: TestServer, name: string, autosign = true): Promise<void> {
  fleet.settings.autosign = autosign;
  await server.ca.submit({ pem: await agentRequest(name), key: name });
}

/** Every file below the directory with its content, but what is each server's own. */
async function content(cadir: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(cadir, { recursive: true, withFileTypes: true })) {
    const own = ["serial", "root_key.pem"].includes(entry.name);
    if (!entry.isFile() || own) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(cadir.length + 1)] = await readFile(path, "utf8");
  }
  return files;
}

void test("repair gives a joining server the whole CA directory, the same as the others'", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  await enrol(one, "a.test");
  await enrol(one, "b.test");
  await enrol(one, "c.test", false);
  await one.ca.revoke({ names: ["b.test"] });
  const two = await fleet.server("s2");
  await two.ca.repair();
  assert.deepEqual(await content(two.cadir), await content(one.cadir));
  const modes = async (name: string) =>
    ((await stat(join(two.cadir, name))).mode & 0o777).toString(8);
  assert.equal(await modes("ca_key.pem"), "600");
  assert.equal(await modes("ca_crt.pem"), "644");
  assert.equal(await modes("inventory.txt"), "644");
  assert.equal(await modes("signed"), "755");
  // Each server's stock tools would start at a serial of their own.
  const serials = await Promise.all(
    [one, two].map(async ({ cadir }) => readFile(join(cadir, "serial"), "utf8")),
  );
  assert.notEqual(serials[0], serials[1]);
  for (const serial of serials) assert.match(serial, /^[0-9A-F]{4,}$/);
  await two.ca.repair();
  assert.equal(await readFile(join(two.cadir, "serial"), "utf8"), serials[1]);
  await run([
    "openssl",
    "verify",
    "-crl_check_all",
    "-CRLfile",
    join(two.cadir, "ca_crl.pem"),
    "-CAfile",
    join(two.cadir, "ca_crt.pem"),
    join(two.cadir, "signed/a.test.pem"),
  ]);
});

void test("a signature stands in the record while the directory can't be written, and gets there later", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  // A file where the folder should be fails every write, also root's.
  const signed = join(one.cadir, "signed");
  await rename(signed, `${signed}.away`);
  await writeFile(signed, "in the way");
  await enrol(one, "a.test");
  assert.equal(one.ca.list("signed").length, 1);
  const { directory, directoryBehind } = one.ca.state();
  assert.ok(directory.behind > 0);
  assert.match(directoryBehind, /changes wait: /);
  assert.equal((await one.fetch("GET", "/puppet-ca/v1/certificate/a.test")).status, 200);
  await rm(signed);
  await rename(`${signed}.away`, signed);
  // Any later change takes what waited along.
  await enrol(one, "b.test");
  assert.deepEqual((await readdir(signed)).sort(), ["a.test.pem", "b.test.pem"]);
  assert.equal(one.ca.state().directoryBehind, "");
  const inventory = await readFile(join(one.cadir, "inventory.txt"), "utf8");
  assert.equal(inventory.trim().split("\n").length, 2);
});

void test("while the serial file can't be written, one block is set aside for it and not one each time", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  const blocks = async () => {
    const { kvs } = await one.etcd.range(BLOCK_PREFIX);
    return kvs.map(({ value }) => (JSON.parse(value) as { from: number }).from);
  };
  const serial = join(one.cadir, "serial");
  /** As stock tools leave the file when they have taken nearly all of the block. */
  const useUp = async (from = 0) => {
    const text = (from + 60).toString(16).toUpperCase().padStart(4, "0");
    await writeFile(serial, text);
    return text;
  };
  const [first] = await blocks();
  const before = await useUp(first);
  // A folder that can be neither opened nor made fails every write, also root's.
  const signed = join(one.cadir, "signed");
  await rename(signed, `${signed}.away`);
  await symlink("/nowhere/at/all", signed);
  for (const round of [1, 2, 3]) {
    await one.ca.repair();
    assert.equal((await blocks()).length, 2, `round ${round}`);
  }
  assert.notEqual(one.ca.state().directory.why, undefined);
  assert.equal(await readFile(serial, "utf8"), before);
  await rm(signed);
  await rename(`${signed}.away`, signed);
  await one.ca.repair();
  const [, second, ...more] = await blocks();
  assert.deepEqual(more, []);
  assert.equal(Number.parseInt(await readFile(serial, "utf8"), 16), second);
  await useUp(second);
  await one.ca.repair();
  assert.equal((await blocks()).length, 3);
});

const ROOT = process.getuid?.() === 0 ? {} : { skip: "only root may give files away" };

void test("repair gives stock's user what somebody has restored as root", ROOT, async () => {
  const owner = { uid: 65_534, gid: 65_534 };
  const one = await fleet.server("s1", { owner });
  await one.ca.repair();
  await enrol(one, "a.test");
  const files = ["", "ca_key.pem", "ca_crt.pem", "ca_crl.pem", "serial", "inventory.txt"];
  const others = ["signed", "requests", "signed/a.test.pem"];
  for (const name of [...files, ...others]) {
    assert.equal((await stat(join(one.cadir, name))).uid, owner.uid, name);
  }
  assert.equal((await stat(join(one.cadir, "ca_key.pem"))).mode & 0o777, 0o600);
  const gone = `${one.cadir}.gone`;
  await rename(one.cadir, gone);
  await one.ca.repair();
  await one.ca.repair();
  for (const name of ["", "signed", "signed/a.test.pem", "inventory.txt"]) {
    assert.equal((await stat(join(one.cadir, name))).uid, owner.uid, name);
  }
});

void test("repair brings back what a crash between record and directory left undone", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  await enrol(one, "a.test");
  await enrol(one, "waits.test", false);
  const before = `${one.cadir}.before`;
  await cp(one.cadir, before, { recursive: true });
  await enrol(one, "b.test");
  await one.ca.sign(["waits.test"]);
  await one.ca.clean(["a.test"]);
  const wanted = await content(one.cadir);
  const cadir = one.cadir;
  await one.stop();
  await rm(cadir, { recursive: true });
  await rename(before, cadir);
  // As if the power went while the inventory grew and a temporary file was there.
  await writeFile(join(cadir, "inventory.txt"), "0x0001 2026-01-01T00", { flag: "a" });

  const again = await fleet.server("s1", { cadir });
  again.run();
  await until(
    "the directory as it was",
    async () => {
      const now = await content(cadir);
      return Object.keys(now).length === Object.keys(wanted).length && again.ca.state().crlNumber;
    },
    { withinMs: 5000 },
  );
  await again.ca.repair();
  const now = await content(cadir);
  const lines = (text: string | undefined) => new Set((text ?? "").split("\n"));
  const inventory = lines(now["inventory.txt"]);
  for (const line of lines(wanted["inventory.txt"])) assert.ok(inventory.has(line), line);
  delete now["inventory.txt"];
  delete wanted["inventory.txt"];
  assert.deepEqual(now, wanted);
});

void test("repair never removes or replaces a file that the record has never heard of", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  await enrol(one, "a.test");
  await mkdir(join(one.cadir, "requests"), { recursive: true });
  const foreign = {
    "signed/hand.test.pem": "somebody put this here",
    "requests/hand.test.pem": await agentRequest("hand.test"),
  };
  for (const [name, text] of Object.entries(foreign)) await writeFile(join(one.cadir, name), text);
  await writeFile(join(one.cadir, "signed/a.test.pem"), "changed by hand");
  await one.ca.repair();
  for (const [name, text] of Object.entries(foreign)) {
    assert.equal(await readFile(join(one.cadir, name), "utf8"), text);
  }
  assert.equal(await readFile(join(one.cadir, "signed/a.test.pem"), "utf8"), "changed by hand");
  assert.deepEqual(
    one.ca.state().directory.unknown.map((path) => path.slice(one.cadir.length + 1)),
    ["requests/hand.test.pem", "signed/a.test.pem", "signed/hand.test.pem"],
  );
  // What is asked for is still answered from the record.
  const got = await one.fetch("GET", "/puppet-ca/v1/certificate/a.test");
  assert.match(await got.text(), /^-----BEGIN CERTIFICATE-----/);
});

void test("a file that a hand put in is told of while the daemon runs, and no more once it is moved away", async (t) => {
  const one = await fleet.server("s1");
  await enrol(one, "a.test");
  const stop = new AbortController();
  const loops = one.ca.startLoops(stop.signal);
  t.after(async () => {
    stop.abort();
    await Promise.all(loops.map(({ ended }) => ended));
  });
  const told = () =>
    one.ca.state().directory.unknown.map((path) => path.slice(one.cadir.length + 1));
  const waitFor = async (files: string[]) =>
    until(
      files.join(" and "),
      () => {
        loops.find(({ name }) => name === "ca upkeep")?.wake();
        return told().join(" ") === files.join(" ");
      },
      { withinMs: 10_000, everyMs: 50 },
    );
  const [signed, waits] = ["signed/hand.test.pem", "requests/hand.test.pem"] as const;
  for (const file of [signed, waits]) await writeFile(join(one.cadir, file), "by hand");
  await waitFor([waits, signed]);
  await rm(join(one.cadir, waits));
  await waitFor([signed]);
  await writeFile(join(one.cadir, "requests/other.test.pem"), "by hand");
  await waitFor(["requests/other.test.pem", signed]);
  // A copy of what the record has is nobody's work, and goes.
  const good = await readFile(join(one.cadir, "signed/a.test.pem"), "utf8");
  await rm(join(one.cadir, "requests/other.test.pem"));
  await writeFile(join(one.cadir, signed), good);
  await waitFor([]);
});

void test("a serial that stock's tools have taken is not put back by what waited to be written", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-cadir-"));
  t.after(async () => rm(folder, { recursive: true }));
  const stop = new AbortController();
  t.after(() => stop.abort());
  const directory = createDirectory({ folder }, stop.signal);
  const { layout } = directory;
  // One file can't be written, so that all of the round is tried again.
  await mkdir(join(layout.requestFile("bad.test"), "in the way"), { recursive: true });
  assert.equal(await directory.apply([fileJob(layout.requestFile("bad.test"), "pem")]), false);
  assert.equal(await directory.apply([serialJob(layout, "", 0x1000)]), false);
  assert.match(await readFile(layout.serial, "utf8"), /^1000/);
  await writeFile(layout.serial, "1001\n");
  await rm(layout.requestFile("bad.test"), { recursive: true });
  await until("the round is done", () => directory.state().behind === 0, { withinMs: 20_000 });
  assert.equal(await readFile(layout.serial, "utf8"), "1001\n");
});

void test("an inventory that somebody has removed is written again", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-cadir-"));
  t.after(async () => rm(folder, { recursive: true }));
  const directory = createDirectory({ folder }, new AbortController().signal);
  const line = (serial: number) => ({
    serial: serialOf(serial),
    certname: `n${serial}.test`,
    notBeforeMs: 0,
    notAfterMs: 86_400_000,
  });
  const lines = async () =>
    (await readFile(directory.layout.inventory, "utf8")).trimEnd().split("\n").length;
  const all = { do: "inventory", lines: [line(5), line(6)] } as const;
  assert.equal(await directory.apply([all, all]), true);
  assert.equal(await directory.apply([all]), true);
  assert.equal(await lines(), 2);
  await rm(directory.layout.inventory);
  assert.equal(await directory.apply([all]), true);
  assert.equal(await lines(), 2);
});

void test("a directory tells of each file that it writes, so that a long round is not taken for a hung one", async () => {
  const directory = createDirectory(
    { folder: fleet.cadirOf("many") },
    new AbortController().signal,
  );
  let told = 0;
  directory.onProgress(() => (told += 1));
  const paths = Array.from({ length: 20 }, (_, n) => directory.layout.signedFile(`n${n}.test`));
  assert.equal(await directory.apply(paths.map((path) => fileJob(path, "x"))), true);
  assert.ok(told >= paths.length, `${told}`);
});

void test("createCa refuses to sign with another CA's key, and serves all the same", async () => {
  const one = await fleet.server("s1");
  await enrol(one, "a.test");
  const two = await fleet.server("s2");
  const cadir = two.cadir;
  await two.stop();
  const key = await run(["openssl", "genrsa", "-traditional", "2048"]);
  await writeFile(join(cadir, "ca_key.pem"), key);
  for (const problem of [/another CA's key/, /no such file/]) {
    const again = await fleet.server("s2", { cadir });
    assert.match(again.ca.state().because, problem);
    await assert.rejects(again.ca.sign(["b.test"]), { code: "ca.no-key" });
    assert.equal((await again.fetch("GET", "/puppet-ca/v1/certificate/a.test")).status, 200);
    await rm(join(cadir, "ca_key.pem"), { force: true });
  }
  await writeFile(join(cadir, "ca_key.pem"), key);
  const keyPem = await readFile(join(one.cadir, "ca_key.pem"), "utf8");
  await assert.rejects(writeAuthorityKey({ cadir, keyPem }), { code: "ca.other-key" });
  assert.equal(await readFile(join(cadir, "ca_key.pem"), "utf8"), key);
});
