// Three servers on a real etcd tell what is wrong to a real receiver: once, whoever leads.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { HOLD_MS } from "../alerts/judge.ts";
import { startWebhook, type Webhook } from "../alerts/testing/webhook.ts";
import { createLog } from "../base/log.ts";
import { isFault } from "../base/fault.ts";
import type { FailedRuns } from "../cluster/failed-runs.ts";
import { META_KEY, SETTINGS_KEY } from "../cluster/keys.ts";
import { Settings } from "../cluster/schema.ts";
import { answer, edge, judge, local, silent, three } from "../cluster/testing/status.ts";
import type { MemberAnswer } from "../cluster/status.ts";
import { NO_WORK } from "../cluster/work.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { alertCommands, type AlertCommandsHost } from "./alert-commands.ts";
import { type Alerts, createAlerts } from "./alerts.ts";

let cluster: EtcdTestCluster;
let etcd: Etcd;
let folder: string;
let hook: Webhook;
/** What is so: who answers what, who leads, whether there is a quorum, what time it is. */
let world: {
  members: MemberAnswer[];
  leader: string;
  quorum: boolean;
  ms: number;
  runs: FailedRuns;
  logged: string[];
};

beforeEach(async () => {
  cluster = await startEtcdCluster();
  etcd = cluster.client();
  const settings = Settings.parse({ sharedName: "puppet.test" });
  await etcd.transact({
    when: [],
    then: [
      { put: META_KEY, value: "m" },
      { put: SETTINGS_KEY, value: JSON.stringify(settings) },
    ],
  });
  folder = await mkdtemp(join(tmpdir(), "understudy-alerts-"));
  await writeFile(join(folder, "ca.pem"), "");
  hook = await startWebhook();
  const runs = { life: "1", runs: [] };
  world = { members: three(), leader: "s1", quorum: true, ms: 0, runs, logged: [] };
});
afterEach(async () => {
  await hook.close();
  await cluster.close();
  await rm(folder, { recursive: true, force: true });
});

async function settingsNow(): Promise<Settings> {
  return Settings.parse(JSON.parse((await etcd.get(SETTINGS_KEY))?.value ?? "{}"));
}

function commandsOf(more: Partial<AlertCommandsHost> = {}) {
  const of = { id: "s1", etcd, secretsFile: join(folder, "s1-secrets.json"), ...more };
  const ca = async () => [];
  return alertCommands({ settings: () => undefined, ca, wake: () => undefined, ...of });
}

/** A server's part, as it was just started. */
async function server(id: string): Promise<Alerts> {
  let settings = await settingsNow();
  const view = () => {
    const { meta } = judge(world.members);
    const members = world.members.map(({ member }) => ({ ...member, courier: true }));
    return { revision: 1, work: NO_WORK, meta, metaText: "m", settings, members, etcdMembers: [] };
  };
  return createAlerts({
    node: { id, role: "server" },
    etcd,
    keeper: {
      current: view,
      record: () => ({ reachable: world.quorum, because: "", ageMs: 0, ageIsMost: false }),
    },
    localcacert: join(folder, "ca.pem"),
    secretsFile: join(folder, `${id}-secrets.json`),
    ownFile: join(folder, `${id}-alerts.json`),
    status: async () => {
      if (world.quorum) settings = await settingsNow();
      return judge(world.members, { quorum: world.quorum });
    },
    leads: () => world.quorum && world.leader.includes(id),
    failedRuns: async (of) => (of === "s1" ? world.runs : undefined),
    wallMs: () => 1_800_000_000_000 + world.ms,
    monotonicMs: () => world.ms,
    log: createLog((line) => world.logged.push(line)),
    signal: new AbortController().signal,
  });
}

/** All of them look and send, `times` times ten seconds. */
async function pass(times: number, ...servers: Alerts[]): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    world.ms += 10_000;
    for (const each of servers) {
      await each.judge();
      await each.send();
      await each.idle();
    }
  }
}

const HOLD_TICKS = HOLD_MS.critical / 10_000 + 1;
const subjects = () => hook.bodies.map((body) => (JSON.parse(body) as { subject: string }).subject);
const down = () => local("s2", { edge: edge({ active: false, because: "stopped" }) });
const addHook = async (more = {}) =>
  commandsOf().add({ name: "ops", type: "json", minSeverity: "warning", url: hook.url, ...more });

test("an alert is told once by whoever leads, also when another begins to lead", async () => {
  await addHook();
  const [one, two] = [await server("s1"), await server("s2")];
  await pass(1, one, two);
  world.members = [answer("s1"), answer("s2", down()), answer("s3")];
  await pass(HOLD_TICKS, one, two);
  assert.deepEqual(subjects(), ["[puppet.test] critical: s2's edge is down: stopped"]);
  world.leader = "s2";
  await pass(HOLD_TICKS * 2, one, two);
  assert.equal(hook.bodies.length, 1, "the next leader knows");
  world.members = three();
  await pass(10, await server("s2"));
  assert.deepEqual(subjects().slice(1), ["[puppet.test] resolved: s2's edge is down: stopped"]);
  const shown = await commandsOf().show();
  assert.deepEqual([shown.alerts, shown.channels[0]?.waiting], [[], 0]);
});

test("two that both believe to lead at the same moment tell it once", async () => {
  await addHook();
  world.leader = "s1 s2";
  const both = [await server("s1"), await server("s2")];
  world.members = [answer("s1"), answer("s2", down()), answer("s3")];
  for (let tick = 0; tick < HOLD_TICKS + 3; tick += 1) {
    world.ms += 10_000;
    await Promise.all(both.map(async (each) => each.judge()));
    await Promise.all(both.map(async (each) => each.send()));
    await Promise.all(both.map(async (each) => each.idle()));
  }
  assert.deepEqual(subjects(), ["[puppet.test] critical: s2's edge is down: stopped"]);
});

test("a leader that dies before it has sent leaves the message to the next", async () => {
  await addHook();
  world.members = [answer("s1"), answer("s2", down()), answer("s3")];
  const first = await server("s1");
  for (let tick = 0; tick < HOLD_TICKS; tick += 1) {
    world.ms += 10_000;
    await first.judge();
  }
  world.leader = "s3";
  await pass(1, await server("s3"));
  assert.equal(hook.bodies.length, 1);
});

test("a channel that takes nothing is tried again, is a warning, and holds up no other", async () => {
  await addHook();
  const dead = await startWebhook();
  dead.mode = 500;
  await addHook({ name: "dead", url: dead.url });
  world.members = [answer("s1"), answer("s2", down()), answer("s3")];
  const one = await server("s1");
  await pass(HOLD_TICKS + 40, one);
  assert.ok(dead.bodies.length >= 3, `${dead.bodies.length} tries`);
  assert.deepEqual(
    one.problems().map(({ kind, subject }) => `${kind} ${subject}`),
    ["alerts-channel dead"],
  );
  assert.match(subjects()[1] ?? "", /alerts don't reach dead: it answers 500/);
  dead.mode = "takes";
  await pass(20, one);
  assert.deepEqual(one.problems(), []);
  await dead.close();
  const { channels } = await commandsOf().show();
  assert.deepEqual(
    channels.map(({ failures, waiting }) => [failures, waiting]),
    [
      [0, 0],
      [0, 0],
    ],
  );
});

test("a leader whose disk takes nothing tells what is wrong all the same, and that it fails", async () => {
  await addHook();
  // Its own folder isn't there.
  const one = await server("none/s1");
  world.leader = "none/s1";
  world.members = [answer("s1"), answer("s2", down()), answer("s3")];
  for (let tick = 0; tick < HOLD_TICKS; tick += 1) {
    world.ms += 10_000;
    await assert.rejects(one.judge(), /ENOENT/);
    await one.send();
    await one.idle();
  }
  assert.deepEqual(subjects(), ["[puppet.test] critical: s2's edge is down: stopped"]);
});

test("without quorum the first server that answers says so, with the secret that it has kept", async () => {
  await addHook();
  const [one, two] = [await server("s1"), await server("s2")];
  await pass(1, one, two);
  assert.equal((await stat(join(folder, "s2-secrets.json"))).mode & 0o777, 0o600);
  world.quorum = false;
  world.members = [silent("s1"), answer("s2"), silent("s3")];
  await pass(10, two);
  assert.equal(hook.bodies.length, 1);
  assert.match(subjects()[0] ?? "", /critical: etcd has no quorum/);
  assert.deepEqual(two.status(), { toldNoQuorum: true });
  world.quorum = true;
  world.members = three();
  await pass(10, one, two);
  assert.deepEqual(subjects().slice(1), ["[puppet.test] resolved: etcd has its quorum again."]);
});

test("a server that said that nobody can write says once that it is over, though it began anew", async () => {
  await addHook();
  await pass(1, await server("s2"));
  world.quorum = false;
  world.members = [silent("s1"), answer("s2"), silent("s3")];
  await pass(10, await server("s2"));
  await pass(10, await server("s2"));
  assert.equal(hook.bodies.length, 1);
  world.quorum = true;
  world.members = three();
  await pass(10, await server("s2"));
  assert.deepEqual(subjects().slice(1), ["[puppet.test] resolved: etcd has its quorum again."]);
  await pass(10, await server("s2"));
  assert.equal(hook.bodies.length, 2);
});

test("what a server that is alone couldn't send goes out when it has begun anew", async () => {
  await addHook();
  await pass(1, await server("s2"));
  world.quorum = false;
  world.members = [silent("s1"), answer("s2"), silent("s3")];
  hook.mode = 500;
  await pass(10, await server("s2"));
  hook.mode = "takes";
  const before = hook.bodies.length;
  await pass(20, await server("s2"));
  assert.equal(hook.bodies.length, before + 1);
  assert.match(subjects().at(-1) ?? "", /critical: etcd has no quorum/);
});

test("an alarm of etcd's is told though nothing can be written down, and that it is over", async () => {
  await addHook();
  const [one, two] = [await server("s1"), await server("s2")];
  await pass(1, one, two);
  const [endpoint = ""] = cluster.endpoints;
  const { memberId } = await etcd.status(endpoint);
  const activate = { action: "ACTIVATE", memberID: memberId, alarm: "NOSPACE" };
  const alarm = await fetch(`${endpoint}/v3/maintenance/alarm`, {
    method: "POST",
    body: JSON.stringify(activate),
  });
  assert.equal(alarm.status, 200);
  const etcdSays = { ...answer("s1").local!.etcd, alarms: ["NOSPACE"] };
  world.members = [answer("s1", local("s1", { etcd: etcdSays })), answer("s2"), answer("s3")];
  for (let tick = 0; tick < 10; tick += 1) {
    world.ms += 10_000;
    for (const each of [one, two]) {
      await each.judge().catch((error: unknown) => assert.ok(isFault(error, "etcd.no-space")));
      await each.send().catch((error: unknown) => assert.ok(isFault(error, "etcd.no-space")));
      await each.idle();
    }
  }
  assert.deepEqual(subjects().length, 1);
  assert.match(subjects()[0] ?? "", /critical: etcd has raised the alarm NOSPACE/);
  await etcd.disarm();
  world.members = three();
  await pass(10, one, two);
  assert.deepEqual(subjects().slice(1), ["[puppet.test] resolved: etcd takes changes again."]);
});

test("agents' failed runs are told together, where they are asked for, and none twice", async () => {
  await addHook();
  const run = (number: number, certname: string) => ({
    number,
    takenMs: 1_800_000_000_000 + world.ms,
    certname,
    environment: "production",
    resources: [{ name: "File[/x]", where: "/site.pp:3", message: "no\r\nBcc: evil@x" }],
    more: 0,
  });
  world.runs = { life: "1", runs: [run(1, "web1"), run(2, "web2"), run(3, "web1")] };
  const one = await server("s1");
  await pass(20, one);
  assert.deepEqual(subjects(), [], "nobody has asked");
  await commandsOf().failedRuns({ everyS: 3600 });
  await pass(20, one);
  assert.deepEqual(subjects(), ["[puppet.test] runs of 2 nodes failed"]);
  world.runs = { life: "1", runs: [...world.runs.runs, run(4, "web3")] };
  await pass(20, one);
  assert.equal(hook.bodies.length, 1, "the hour isn't over");
  world.ms += 3_600_000;
  await pass(10, await server("s1"));
  assert.deepEqual(subjects().slice(1), ["[puppet.test] runs of 1 node failed"]);
});

test("a channel's secret is kept apart from the settings, and shown nowhere", async () => {
  const shown = await addHook({ name: "ops" });
  assert.equal(shown.channels[0]?.hasSecret, true);
  const said = [JSON.stringify(shown), (await etcd.get(SETTINGS_KEY))?.value ?? ""].join();
  assert.ok(!said.includes("secret/path"));
  const one = await server("s1");
  await pass(1, one);
  assert.ok((await readFile(join(folder, "s1-secrets.json"), "utf8")).includes("secret/path"));
  await commandsOf().remove("ops");
  await pass(1, one);
  assert.ok(!(await readFile(join(folder, "s1-secrets.json"), "utf8")).includes("secret/path"));
  await assert.rejects(commandsOf().remove("ops"), (error) => isFault(error, "alerts.unknown"));
});

test("without the record the channels are shown with the secrets that are kept here", async () => {
  await addHook();
  await pass(1, await server("s1"));
  const settings = await settingsNow();
  const gone = await startEtcdCluster();
  const away = gone.client({ attemptMs: 200 });
  await gone.close();
  const shown = await commandsOf({ etcd: away, settings: () => settings }).show();
  assert.notEqual(shown.because, "");
  assert.deepEqual(
    shown.channels.map(({ name, hasSecret }) => [name, hasSecret]),
    [["ops", true]],
  );
});

test("channels that are added at the same moment keep their secrets, all of them", async () => {
  const names = ["a", "b", "c", "d"];
  await Promise.all(names.map(async (name) => addHook({ name })));
  const { channels } = await commandsOf().show();
  assert.deepEqual(
    channels.map(({ name, hasSecret }) => `${name} ${hasSecret}`).toSorted(),
    names.map((name) => `${name} true`),
  );
});

test("a test is sent at once, and says what came of it", async () => {
  await addHook();
  const { results } = await commandsOf().test({});
  assert.deepEqual(
    results.map(({ channel, ok }) => [channel, ok]),
    [["ops", true]],
  );
  assert.match(subjects()[0] ?? "", /test: a test of this channel, sent by s1/);
  hook.mode = 403;
  const [bad] = (await commandsOf().test({ channel: "ops" })).results;
  assert.match(bad?.because ?? "", /answers 403/);
  await assert.rejects(commandsOf().test({ channel: "other" }), (error) =>
    isFault(error, "alerts.unknown"),
  );
});
