// The API in a daemon: from a change of the record to an answer over the network, also when etcd
// is gone, and after a start without it.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { auditToLog } from "../api/audit.ts";
import { createTestCommands } from "../api/testing/commands.ts";
import { createTestTls } from "../api/testing/people.ts";
import { createLog } from "../base/log.ts";
import { startLoop } from "../base/loop.ts";
import { until } from "../base/retry.ts";
import { createAccess, revokeAccess, startAccessKeeper } from "../cluster/access-store.ts";
import { CONTROL_HOSTNAME } from "../cluster/pki.ts";
import { updateSettings } from "../cluster/record.ts";
import { ApiSettings } from "../cluster/schema.ts";
import { edge, local } from "../cluster/testing/status.ts";
import { readView, type View } from "../cluster/view.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { freePorts } from "../host/testing/ports.ts";
import { createTestSite, FIRST } from "../setup/testing/site.ts";
import { startPeople } from "./people.ts";

const SOON = { withinMs: 15_000, everyMs: 50 };
const tls = createTestTls();
let cluster: EtcdTestCluster;
let folder = "";
let agent: Agent;
before(async () => {
  cluster = await startEtcdCluster();
  await createTestSite(cluster);
  folder = await mkdtemp(join(tmpdir(), "understudy-people-"));
  await writeFile(join(folder, "own.crt"), tls.cert);
  await writeFile(join(folder, "own.key"), tls.key);
  agent = new Agent({ ca: tls.ca, servername: CONTROL_HOSTNAME, keepAlive: true });
});
/** What ends each that was started; twice is as once. */
const ends: (() => Promise<void>)[] = [];
after(async () => {
  for (const end of ends) await end();
  agent.destroy();
  await cluster.close();
  await rm(folder, { recursive: true });
});

/** Starts the API as the daemon of FIRST does, with a view that is read from etcd. */
async function start(kept?: View) {
  const stop = new AbortController();
  const { signal } = stop;
  const log = createLog(() => undefined);
  const etcd = cluster.client();
  const listeners: (() => void)[] = [];
  let view = kept;
  let because = "";
  const loop = startLoop({
    name: "view",
    everyMs: 50,
    log,
    signal,
    body: async () => {
      try {
        view = (await readView(etcd, signal)) ?? view;
        because = "";
      } catch (error) {
        because = String(error);
        throw error;
      }
      for (const listener of listeners) listener();
    },
  });
  const keeper = {
    loop,
    current: () => view,
    record: () => ({ reachable: because === "", because, ageMs: 0, ageIsMost: false }),
    onChange: (listener: () => void) => listeners.push(listener),
  };
  type Host = Parameters<typeof startPeople>[0];
  const layout = { hostcert: join(folder, "own.crt"), hostprivkey: join(folder, "own.key") };
  const access = await startAccessKeeper({
    etcd,
    file: join(folder, "access.json"),
    reachable: () => because === "",
    log,
    signal,
  });
  const people = startPeople({
    core: {
      access,
      node: { id: FIRST, role: "server", phase: "ready" },
      keeper,
      layout,
      log,
      signal,
    },
    commands: createTestCommands().commands,
    audit: auditToLog(log),
    parts: {
      edge: () => edge(),
      ca: () => local("s1").ca,
      courier: async () => undefined,
      hung: () => "",
      leads: () => true,
    },
  } as unknown as Host);
  const end = async () => {
    stop.abort();
    await Promise.all([people.loop.ended, access.loop.ended, loop.ended]);
    await people.close();
  };
  ends.push(end);
  return { people, end, view: () => view };
}

/** The status of an answer; undefined where nobody answers. */
async function ask(port: number, path: string, token?: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const outgoing = request({ agent, host: "127.0.0.1", port, path, headers }, (incoming) => {
      incoming.resume();
      incoming.on("end", () => resolve(incoming.statusCode));
    });
    outgoing.on("error", () => resolve(undefined));
    outgoing.end();
  });
}

test("startPeople follows the record, and goes on without etcd: with what it knew, and from the disk", async () => {
  const etcd = cluster.client();
  const [port = 0] = await freePorts(1);
  const first = await start();
  assert.equal(await ask(port, "/health/live"), undefined, "off until it is set");

  const api = ApiSettings.parse({ address: "127.0.0.1", port, metricsFrom: ["127.0.0.0/8"] });
  await updateSettings(etcd, (settings) => ({ ...settings, api }));
  await until("the listener", async () => (await ask(port, "/health/live")) === 200, SOON);
  await until("its status", () => first.people.status().url !== "", SOON);
  assert.equal(first.people.status().url, `https://127.0.0.1:${port}`);
  assert.deepEqual(first.people.status().settings, api);
  for (const [path, status] of [
    ["/health/ready", 200],
    ["/health/leader", 200],
    ["/health/puppetdb", 503],
    ["/metrics", 200],
    ["/v1/status", 401],
  ] as const) {
    assert.equal(await ask(port, path), status, path);
  }

  const wish = { role: "viewer" as const, validMs: 3_600_000, createdBy: FIRST };
  const nowMs = Date.now();
  const [stays, goes] = [
    await createAccess(etcd, { ...wish, name: "stays", nowMs }),
    await createAccess(etcd, { ...wish, name: "goes", nowMs }),
  ];
  const isIn = async ({ text }: { text: string }) => (await ask(port, "/v1/status", text)) === 200;
  await until("both tokens", async () => (await isIn(stays)) && isIn(goes), SOON);
  assert.deepEqual(
    first.people
      .status()
      .uses.map(({ name }) => name)
      .toSorted(),
    ["goes", "stays"],
  );
  const { revision } = await revokeAccess(etcd, "goes");
  await until("the end of one", () => first.people.status().accessRevision >= revision, SOON);
  assert.deepEqual([await isIn(stays), await isIn(goes)], [true, false]);

  const view = first.view();
  await cluster.members[0]?.kill();
  assert.ok(await isIn(stays));
  await first.end();
  assert.equal(await ask(port, "/health/live"), undefined);
  const again = await start(view);
  await until("the listener", async () => (await ask(port, "/health/live")) === 200, SOON);
  assert.deepEqual([await isIn(stays), await isIn(goes)], [true, false]);
  await again.end();
});
