// The sync between real PuppetDBs: one that is empty, was killed halfway, was restored from an old
// dump or has hidden its nodes becomes level with another, by PuppetDB's own hashes, and stays so.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import { SyncRound } from "../../src/cluster/sync-status.ts";
import { isoTime, wallMs } from "../../src/host/clock.ts";
import {
  askOne,
  contentOf,
  dumpOne,
  type PairedPuppetDb,
  postAll,
  type RawCommand,
  restoreOne,
  startOne,
  startPair,
  stopOne,
} from "../cluster/puppetdb-pair.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";

const PROGRAM = join(import.meta.dirname, "../cluster/sync-program.ts");
const SYNC_MS_MAX = 300_000;
const MINUTE = 60_000;
const NODES = Array.from({ length: 25 }, (_, index) => `n${index}.lab.test`);
/** It has a number that PuppetDB stores in another spelling than it came in. */
const RESPELT = "n24.lab.test";
const Ended = SyncRound.extend({ standing: z.string() });

let lab: Lab;
let host: LabHost;
let folder: string;
/** It has everything; it is brought level. */
let full: PairedPuppetDb;
let other: PairedPuppetDb;
/** When the first runs were. */
let beganMs: number;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "puppetdb-sync-"));
  lab = await openLab({ hosts: ["s1"] });
  host = lab.host("s1");
  // The other's own clock hides every node as soon as it is told to look.
  [full, other] = (await startPair(host, "1s")) as [PairedPuppetDb, PairedPuppetDb];
  beganMs = wallMs() - 60 * MINUTE;
  await postAll(
    host,
    full,
    NODES.flatMap((name) => runOf(name, beganMs)),
  );
  await postAll(
    host,
    full,
    NODES.slice(0, 5).flatMap((name) => reportOf(name, beganMs - 50 * MINUTE)),
  );
});

after(async () => {
  await lab?.down();
  await rm(folder, { recursive: true, force: true });
});

test("an empty PuppetDB becomes level with a full one, also when the sync is killed halfway", async () => {
  const argv = await syncArgs("first");
  const running = lab.startFromNetwork(argv, { host: "s1", withinMs: SYNC_MS_MAX });
  const halfway = () => / (\d+) of 75/.exec(running.output().stdout.split("\n").at(-2) ?? "");
  const isHalf = () => Number(halfway()?.[1] ?? 0) > 30;
  await until("half is brought", isHalf, { withinMs: SYNC_MS_MAX, everyMs: 10 });
  running.kill("SIGKILL");
  await running.done;
  const between = await contentOf(host, other);
  assert.ok(between.length > 30 && between.length < (await contentOf(host, full)).length);
  const { moved, standing, left } = await sync("first");
  assert.deepEqual([standing, left], ["level", 0]);
  assert.equal(moved["report"], NODES.length + 5);
  assert.ok((moved["catalog"] ?? 0) + (moved["facts"] ?? 0) < 2 * NODES.length, "went on");
  await assertSame();
});

test("a second sync moves nothing", async () => {
  const { moved, left, ok } = await sync("second");
  assert.deepEqual([moved, left, ok], [{}, 0, true]);
});

test("one that was restored from an old dump gets all that is newer, and keeps what it has newer itself", async () => {
  await dumpOne(host, other);
  const laterMs = beganMs + 30 * MINUTE;
  await postAll(
    host,
    full,
    NODES.flatMap((name) => runOf(name, laterMs)),
  );
  await postAll(host, full, [deactivation("n1.lab.test", laterMs + 1000)]);
  assert.equal((await sync("third")).standing, "level");
  await assertSame();
  await stopOne(host, other);
  await restoreOne(host, other);
  await startOne(host, other);
  // An agent's run that only this one got.
  await postAll(host, other, runOf("n2.lab.test", laterMs + MINUTE));
  const { moved, standing } = await sync("third");
  assert.equal(standing, "level");
  assert.deepEqual(moved, {
    deactivation: 1,
    catalog: NODES.length - 1,
    facts: NODES.length - 1,
    inputs: NODES.length - 1,
    report: NODES.length,
  });
  const back = await sync("back", [full, other]);
  assert.deepEqual(back.moved, { catalog: 1, facts: 1, inputs: 1, report: 1 });
  await assertSame();
});

test("a deactivation carries over, and the node isn't seen any more", async () => {
  const seen = await activeNodes();
  assert.ok(!seen.includes("n1.lab.test"));
  assert.equal(seen.length, NODES.length - 1);
});

test("nodes that a PuppetDB has hidden by its own clock are visible again, and stay so", async () => {
  const clean = JSON.stringify({ command: "clean", version: 1, payload: ["expire_nodes"] });
  const admin = `curl -sSf -d '${clean}' -H 'content-type: application/json' ${other.url}/pdb/admin/v1/cmd`;
  await host.run(admin);
  assert.deepEqual(await activeNodes(), []);
  // Whose newer data comes in under its expiry is hidden as well.
  await postAll(host, full, runOf("n3.lab.test", beganMs + 45 * MINUTE));
  const { moved, standing } = await sync("expired");
  assert.equal(standing, "level");
  assert.deepEqual(moved, {
    revival: NODES.length - 1,
    catalog: 1,
    facts: 1,
    inputs: 1,
    report: 1,
  });
  assert.equal((await activeNodes()).length, NODES.length - 1);
  await assertSame();
  // The other way round nothing is prolonged, and hidden once more by the clock they stay hidden.
  assert.deepEqual((await sync("back", [full, other])).moved, {});
});

/** Both have the same, but for the one hash that PuppetDB itself makes another of the same facts. */
async function assertSame(): Promise<void> {
  const [had, has] = await Promise.all([full, other].map(async (one) => contentOf(host, one)));
  const lacks = (had ?? []).filter((line) => has?.includes(line) !== true);
  const more = (has ?? []).filter((line) => had?.includes(line) !== true);
  const known = (line: string) => line.startsWith(`factsets "${RESPELT}"`);
  assert.deepEqual(
    { lacks: lacks.filter((line) => !known(line)), more: more.filter((line) => !known(line)) },
    {
      lacks: [],
      more: [],
    },
  );
  assert.deepEqual(lacks.map(withoutHash), more.map(withoutHash));
  assert.equal(has?.length, had?.length);
}

function withoutHash(line: string): string {
  return line.replaceAll(/"[0-9a-f]{40}"/g, "");
}

/** `name`: of a folder that remembers. */
async function syncArgs(name: string, [here, there] = [other, full]): Promise<string[]> {
  await mkdir(join(folder, name), { recursive: true });
  return [process.execPath, PROGRAM, join(folder, name), here.url, there.url];
}

async function sync(name: string, pair?: [PairedPuppetDb, PairedPuppetDb]) {
  const argv = await syncArgs(name, pair);
  const ended = await lab.fromNetwork(argv, { host: "s1", withinMs: SYNC_MS_MAX });
  assert.equal(ended.code, 0, ended.stderr);
  const round = Ended.parse(JSON.parse(ended.stdout.trim().split("\n").at(-1) ?? ""));
  assert.ok(round.ok, JSON.stringify(round));
  return round;
}

async function activeNodes(): Promise<string[]> {
  const rows = await askOne(host, other, "/pdb/query/v4", [
    "from",
    "nodes",
    ["extract", ["certname"]],
  ]);
  return rows.map(({ certname }) => String(certname));
}

/** What a server sends of one run: numbers in spellings that JavaScript would change. */
function runOf(certname: string, atMs: number): RawCommand[] {
  const at = isoTime(atMs);
  const head = `"certname":"${certname}","producer_timestamp":"${at}","producer":"s1.lab.test"`;
  const none = `"environment":"production","transaction_uuid":null,"code_id":null`;
  const uuid = "80a1f1d2-1bd3-4f68-86db-74b3d0d96f95";
  const odd = `[1.0,1e3,1E-7,0.10,12345678901234567890,0.1234567890123456789012,"é\\ud800",{"10":1,"a":{}}]`;
  const resource = (type: string, title: string, more: string) =>
    `{"type":"${type}","title":"${title}","exported":${type === "File"},"tags":["class"],${more}}`;
  const catalog = `{${head},${none},"catalog_uuid":"${uuid}","version":"${atMs}","job_id":null,
    "edges":[{"source":{"type":"Class","title":"Main"},"target":{"type":"File","title":"/a"},"relationship":"contains"}],
    "resources":[${resource("Class", "Main", `"parameters":{}`)},
      ${resource("File", "/a", `"parameters":{"odd":${odd}},"file":"/m.pp","line":7`)}]}`;
  const respelt = certname === RESPELT ? ".0" : "";
  const facts = `{${head},"environment":"production","values":{"at":${atMs}${respelt},"odd":${odd},"os":{"x":1.50}},
    "package_inventory":[["a","1.0","apt"],["b","2","apt"]]}`;
  const inputs = `{"certname":"${certname}","producer_timestamp":"${at}","catalog_uuid":"${uuid}","inputs":[["hiera","x"]]}`;
  return [
    command("replace_facts", 5, certname, at, facts),
    command("replace_catalog", 9, certname, at, catalog),
    command("replace_catalog_inputs", 1, certname, at, inputs),
    ...reportOf(certname, atMs),
  ];
}

function reportOf(certname: string, atMs: number): RawCommand[] {
  const at = isoTime(atMs);
  const event = (status: string, property: string) =>
    `{"status":"${status}","timestamp":"${at}","property":"${property}","name":null,"message":"m",
      "old_value":1.50,"new_value":"b","corrective_change":null}`;
  const report = `{"certname":"${certname}","puppet_version":"7.23.0","report_format":12,"producer":"s1.lab.test",
    "configuration_version":"1","start_time":"${at}","end_time":"${at}","producer_timestamp":"${at}",
    "environment":"production","status":"changed","noop":false,"noop_pending":false,"corrective_change":null,
    "transaction_uuid":null,"catalog_uuid":null,"code_id":null,"job_id":null,"cached_catalog_status":"not_used",
    "metrics":[{"category":"time","name":"total","value":0.10}],
    "logs":[{"file":null,"line":null,"level":"notice","message":"m","source":"s","tags":["notice"],"time":"${at}"}],
    "resources":[{"skipped":false,"timestamp":"${at}","resource_type":"File","resource_title":"/a","file":"/m.pp",
      "line":7,"containment_path":["Stage[main]","File[/a]"],"corrective_change":null,
      "events":[${event("success", "mode")},${event("failure", "owner")}]}]}`;
  return [command("store_report", 8, certname, at, report)];
}

function deactivation(certname: string, atMs: number): RawCommand {
  const at = isoTime(atMs);
  return command(
    "deactivate_node",
    3,
    certname,
    at,
    `{"certname":"${certname}","producer_timestamp":"${at}"}`,
  );
}

function command(
  name: string,
  version: number,
  certname: string,
  at: string,
  body: string,
): RawCommand {
  const query = `command=${name}&version=${version}&certname=${certname}&producer-timestamp=${at}`;
  return { query, body: body.replaceAll(/\n\s*/g, "") };
}
