import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { courierUrls, describeEnable, givePuppetdbBack } from "./puppetdb.ts";
import { planDatabase, revertDatabase } from "./puppetdb-database.ts";
import { findPuppetdb, planJetty, requireTerminus, revertJetty } from "./puppetdb-files.ts";
import { editFile } from "../puppetserver/originals.ts";

test("courierUrls names this server, then the next in the circle, however they are listed", () => {
  const url = (id: string) => `https://${id}:8081`;
  const servers = ["s3", "s1", "s2"];
  assert.deepEqual(courierUrls("s1", servers), [url("s1"), url("s2")]);
  assert.deepEqual(courierUrls("s3", servers), [url("s3"), url("s1")]);
  assert.deepEqual(courierUrls("s1", []), [url("s1")]);
});

test("describeEnable says what is edited and why, and what isn't here", () => {
  const file = { path: "/etc/puppet/routes.yaml", text: "", because: "facts go to PuppetDB" };
  const none = { puppetdb: undefined, jetty: undefined, database: undefined };
  const plan = { ...none, clients: [], urls: ["a", "b"] };
  const lines = describeEnable({ ...plan, terminus: [file] }).join("\n");
  assert.match(lines, /puppetserver is to use a, then b/);
  assert.match(lines, /1\. edit \/etc\/puppet\/routes\.yaml: facts go to PuppetDB/);
  assert.match(lines, /this server has none/);
  assert.doesNotMatch(describeEnable({ ...plan, terminus: [] }).join("\n"), /reload/);
});

test("findPuppetdb finds Debian's; its listener and its node-ttl come back as they were", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "puppetdb-"));
  t.after(async () => rm(root, { recursive: true }));
  assert.equal(await findPuppetdb(root), undefined);
  const confD = join(root, "etc/puppetdb/conf.d");
  await mkdir(confD, { recursive: true });
  const before = "[jetty]\nport = 8080\nssl-port = 8081\n";
  await writeFile(join(confD, "jetty.ini"), before);
  const found = await findPuppetdb(root);
  assert.equal(found?.confD, confD);
  const wish = await planJetty(found);
  assert.ok(wish);
  await editFile(wish.path, wish.text);
  assert.equal(await planJetty(found), undefined);
  assert.equal(await revertJetty(found), true);
  assert.equal(await readFile(wish.path, "utf8"), before);
  assert.equal(await revertJetty(found), false);
  const database = join(confD, "database.ini");
  const own = "[database]\nnode-ttl = 2d\npassword = old\n";
  for (const [between, after] of [
    [(text: string) => text, own],
    [(text: string) => text.replace("old", "new"), own.replace("old", "new")],
  ] as const) {
    await writeFile(database, own);
    const planned = await planDatabase(found);
    assert.equal(planned.nodeTtlS, 2 * 86_400);
    assert.match(planned.wish?.text ?? "", /^node-ttl = 0s$/m);
    await editFile(database, planned.wish?.text ?? "");
    const again = await planDatabase(found);
    assert.deepEqual([again.wish, again.nodeTtlS], [undefined, 2 * 86_400]);
    await writeFile(database, between(await readFile(database, "utf8")));
    assert.equal(await revertDatabase(found), true);
    assert.equal(await readFile(database, "utf8"), after);
    assert.equal(await revertDatabase(found), false);
    assert.deepEqual((await readdir(confD)).toSorted(), ["database.ini", "jetty.ini"]);
  }
  await writeFile(join(confD, "more.ini"), "[other]\na = b\n[jetty]\nport = 1\n");
  const refused = (error: unknown) =>
    isFault(error, "puppetdb.config-unknown") && error.message.includes("more.ini:3:");
  await assert.rejects(findPuppetdb(root), refused);
});

test("requireTerminus says which package is missing", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "puppetdb-"));
  t.after(async () => rm(root, { recursive: true }));
  const missing = (error: unknown) => isFault(error, "puppetdb.no-terminus");
  await assert.rejects(requireTerminus(root), missing);
  const folder = join(root, "usr/lib/ruby/vendor_ruby/puppet/indirector/catalog");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "puppetdb.rb"), "");
  await requireTerminus(root);
});

test("givePuppetdbBack waits for no start of PuppetDB where something else is to be put back after it", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "puppetdb-back-"));
  const { PATH } = process.env;
  t.after(async () => {
    process.env["PATH"] = PATH;
    await rm(root, { recursive: true });
  });
  const [confD, bin, log] = [
    join(root, "etc/puppetdb/conf.d"),
    join(root, "bin"),
    join(root, "log"),
  ];
  for (const folder of [confD, bin]) await mkdir(folder, { recursive: true });
  await writeFile(join(bin, "systemctl"), `#!/bin/sh\necho "$*" >> ${log}\n`, { mode: 0o755 });
  process.env["PATH"] = `${bin}:${PATH}`;
  const jetty = join(confD, "jetty.ini");
  await writeFile(jetty, "[jetty]\nport = 8080\nssl-port = 8081\n");
  for (const [noBlock, said] of [
    [true, "--no-block try-restart puppetdb.service\n"],
    [false, "try-restart puppetdb.service\n"],
  ] as const) {
    const wish = await planJetty({ confD, unit: "puppetdb.service" });
    await editFile(jetty, wish?.text ?? "");
    await writeFile(log, "");
    assert.equal(await givePuppetdbBack({ root, noBlock }), "put back");
    assert.equal(await readFile(log, "utf8"), said);
  }
});
