import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { decideSignIn } from "./access.ts";
import { createAccess, readAccess, revokeAccess, startAccessKeeper } from "./access-store.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const wish = (name: string, createdBy = "s1") => {
  return { name, role: "viewer" as const, validMs: 3_600_000, createdBy, nowMs: NOW_MS };
};

let etcd: EtcdTestCluster;
let folder = "";
before(async () => {
  etcd = await startEtcdCluster();
  folder = await mkdtemp(join(tmpdir(), "understudy-access-"));
});
after(async () => {
  await etcd.close();
  await rm(folder, { recursive: true });
});

async function start(file: string, reachable = true) {
  const stop = new AbortController();
  const keeper = await startAccessKeeper({
    etcd: etcd.client(),
    file,
    reachable: () => reachable,
    log: createLog(() => undefined),
    signal: stop.signal,
  });
  const end = async () => {
    stop.abort();
    await keeper.loop.ended;
  };
  return { keeper, end };
}

test("createAccess from two members at once makes one token of a name; the other is told", async () => {
  const clients = [etcd.client(), etcd.client(), etcd.client(), etcd.client()];
  const made = await Promise.allSettled(
    clients.map(async (client, index) => createAccess(client, wish("twice", `s${index}`))),
  );
  const texts = made.flatMap((one) => (one.status === "fulfilled" ? [one.value.text] : []));
  const refusals = made.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  assert.equal(texts.length, 1);
  assert.ok(
    refusals.every((error) => isFault(error, "access.taken")),
    String(refusals),
  );
  const list = await readAccess(etcd.client());
  assert.equal(list.tokens.filter(({ name }) => name === "twice").length, 1);
  assert.ok(decideSignIn(list, `Bearer ${texts[0]}`, NOW_MS).ok);
});

test("createAccess of different names at once loses none", async () => {
  const names = ["n1", "n2", "n3", "n4"];
  await Promise.all(names.map(async (name) => createAccess(etcd.client(), wish(name))));
  const list = await readAccess(etcd.client());
  for (const name of names)
    assert.ok(
      list.tokens.some((token) => token.name === name),
      name,
    );
});

test("startAccessKeeper learns of tokens and of their end, and keeps hashes for a start without etcd", async () => {
  const file = join(folder, "access.json");
  const { text, revision } = await createAccess(etcd.client(), wish("kept"));
  const { keeper, end } = await start(file);
  const isIn = () => decideSignIn(keeper.current(), `Bearer ${text}`, NOW_MS).ok;
  await until("the token", () => isIn() && keeper.revision() >= revision, { withinMs: 10_000 });
  const later = await createAccess(etcd.client(), wish("later"));
  const knows = (wanted: string) => decideSignIn(keeper.current(), `Bearer ${wanted}`, NOW_MS).ok;
  await until("one made later", () => knows(later.text), { withinMs: 10_000 });
  const onDisk = async () => readFile(file, "utf8").catch(() => "");
  await until("the file", async () => (await onDisk()).includes('"later"'), { withinMs: 10_000 });
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  for (const each of [text, later.text]) {
    assert.ok(!(await onDisk()).includes(each.split(".")[2] ?? "?"), "the secret is on the disk");
  }

  const alone = await start(file, false);
  assert.ok(decideSignIn(alone.keeper.current(), `Bearer ${text}`, NOW_MS).ok);
  await alone.end();

  const revoked = await revokeAccess(etcd.client(), "kept");
  await until("the end", () => !isIn(), { withinMs: 10_000 });
  assert.ok(keeper.revision() >= revoked.revision);
  await end();
});

test("startAccessKeeper takes a file that can't be read as none, and lets nobody in by it", async () => {
  const file = join(folder, "broken.json");
  await writeFile(file, '{"tokens":[{"name":"a"');
  const { keeper, end } = await start(file, false);
  assert.deepEqual([keeper.current().tokens, keeper.revision()], [[], 0]);
  await end();
});

test("revokeAccess says when there is no such token", async () => {
  await assert.rejects(revokeAccess(etcd.client(), "nobody"), (error) =>
    isFault(error, "access.not-found"),
  );
});
