// The same clients and the same judge as in the torture of lab servers, on authorities of one real
// etcd in this process: each call to it and each answer waits for a moment by chance, answers get
// lost, watches are late or deaf. Seconds instead of minutes for what only unlucky orders show.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Fault } from "../../src/base/fault.ts";
import { pause, until } from "../../src/base/retry.ts";
import { CA_SETTINGS_DEFAULT } from "../../src/ca/settings.ts";
import { agentKey, adminOf, startFleet, type TestServer } from "../../src/ca/testing/fleet.ts";
import { KEY_PREFIX } from "../../src/cluster/keys.ts";
import { shareWatch } from "../../src/etcd/shared-watch.ts";
import type { Etcd } from "../../src/etcd/types.ts";
import { wallMs } from "../../src/host/clock.ts";
import { isMissing } from "../../src/host/files.ts";
import { exportPkcs8 } from "../../src/x509/keys.ts";
import { parseCertificate } from "../../src/x509/certificate.ts";
import { Client, type ClientOptions } from "./client.ts";
import { stateOfFiles } from "./disk-state.ts";
import type { Act, LastState } from "./history.ts";
import { listBreaches } from "./judge.ts";
import { createRandom, type Random } from "./random.ts";

const SEEDS = [wallMs() % 1_000_000, 1, 2, 3];
const CLIENTS = 6;
const ACTS = 40;
const CALL_MS_MAX = 15;
const WATCH_MS_MAX = 400;
const LOST_SHARE = 0.03;
const SETTLED_MS_MAX = 20_000;

void describe("authorities of one record", { concurrency: true }, () => {
  for (const seed of SEEDS) playSeed(seed);
});

function playSeed(seed: number): void {
  void test(`nothing is lost, given twice or left in force in any order, seed ${seed}`, async () => {
    const random = createRandom(seed);
    const fleet = await startFleet();
    const over = new AbortController();
    const others: Promise<void>[] = [];
    try {
      fleet.settings = { ...CA_SETTINGS_DEFAULT, autosign: true, allowAutoRenewal: true };
      const servers = new Map<string, TestServer>();
      for (const name of ["s1", "s2", "s3"]) {
        const plain = fleet.cluster.client();
        const etcd = name === "s1" ? plain : unlucky(plain, random);
        // As in a daemon, where the copy and the view follow the same changes.
        const watch: Etcd["watch"] = (prefix, options) => etcd.watch(prefix, options);
        const shared = { ...etcd, watch: shareWatch(watch, KEY_PREFIX) };
        servers.set(name, await fleet.server(name, { etcd: shared }));
        others.push(comeAndGo(shared, random, over.signal));
      }
      for (const server of servers.values()) server.run();
      const acts = await play(seed, servers);
      const last = await until("all servers have the same", async () => settled(servers), {
        withinMs: SETTLED_MS_MAX,
      });
      assert.deepEqual(listBreaches({ acts, crls: [], last }), []);
      const done = (op: Act["op"]) => acts.some((act) => act.op === op && act.status < 300);
      for (const op of ["submit", "renew", "revoke", "clean"] as const) assert.ok(done(op), op);
    } finally {
      over.abort();
      await Promise.all(others);
      await fleet.close();
    }
  });
}

/** Follows all changes from now on, stops, and begins anew, so that watches are joined often. */
async function comeAndGo(etcd: Etcd, random: Random, signal: AbortSignal): Promise<void> {
  const nothing = () => undefined;
  while (!signal.aborted) {
    // It only disturbs: whether etcd answers in time is the others' to find out.
    const read = await etcd.range(KEY_PREFIX, { limit: 1 }).catch(nothing);
    if (read === undefined) continue;
    const gone = new AbortController();
    etcd.watch(KEY_PREFIX, {
      fromRevision: read.revision + 1,
      signal: gone.signal,
      onEvents: nothing,
      onLost: nothing,
    });
    await pause(random.next() * WATCH_MS_MAX, signal);
    gone.abort();
  }
}

/** Has the clients act on the servers. Returns what they saw. */
async function play(seed: number, servers: ReadonlyMap<string, TestServer>): Promise<Act[]> {
  const acts: Act[] = [];
  const [first] = servers.values();
  assert.ok(first);
  const { pem } = await adminOf(first);
  const options: Omit<ClientOptions, "client" | "random"> = {
    servers: [...servers.keys()].map((name) => ({ name, address: name })),
    admin: { cert: pem, key: exportPkcs8(await agentKey()) },
    domain: "auto.test",
    run: "0",
    restMs: CALL_MS_MAX,
    note: (act) => void acts.push(act),
    send: async (address, method, path, { as, body, type }) => {
      // Whether it is still in force is the edge's to know, and there is none.
      if (path.endsWith("/certificate/ca")) return { status: 0, body: "" };
      const server = servers.get(address);
      assert.ok(server);
      const answer = await server.fetch(method, path, {
        ...(body === undefined ? {} : { body }),
        ...(type === undefined ? {} : { headers: { "Content-Type": type } }),
        ...(as === undefined
          ? {}
          : { as: { certname: parseCertificate(as.cert).commonName ?? "", pem: as.cert } }),
      });
      return { status: answer.status, body: await answer.text() };
    },
  };
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const own = new Client({ ...options, client, random: createRandom(seed * 1000 + client) });
      for (let count = 0; count < ACTS; count += 1) await own.act();
    }),
  );
  return acts;
}

/** `etcd` as a server far away has it: late, and now and then without an answer. */
function unlucky(etcd: Etcd, random: Random): Etcd {
  const moment = async () => pause(random.next() * CALL_MS_MAX);
  return {
    ...etcd,
    async transact(txn, options) {
      await moment();
      const result = await etcd.transact(txn, options);
      await moment();
      if (random.next() < LOST_SHARE) throw new Fault("etcd.outcome-unknown", "it was lost");
      return result;
    },
    watch(prefix, options) {
      let chain = Promise.resolve();
      etcd.watch(prefix, {
        ...options,
        onEvents: (events, revision) => {
          chain = chain.then(async () => {
            await pause(random.next() ** 4 * WATCH_MS_MAX);
            if (!options.signal.aborted) options.onEvents(events, revision);
          });
        },
      });
    },
  };
}

/** What every server's directory says, once all say the same. */
async function settled(servers: ReadonlyMap<string, TestServer>): Promise<LastState[] | undefined> {
  const last: LastState[] = [];
  for (const [name, { cadir }] of servers) {
    const state = await stateOf(name, cadir).catch((error: unknown) => {
      // A file of a name that is being cleaned.
      if (!isMissing(error)) throw error;
      return undefined;
    });
    if (state === undefined) return undefined;
    last.push(state);
  }
  const faces = last.map(({ crl, inventory, signed }) =>
    [crl.number, inventory.length, ...[...signed.keys()].sort()].join(" "),
  );
  return new Set(faces).size === 1 ? last : undefined;
}

async function stateOf(server: string, cadir: string): Promise<LastState> {
  const read = async (path: string) => readFile(join(cadir, path), "utf8");
  const files = (await readdir(join(cadir, "signed"))).filter((file) => file.endsWith(".pem"));
  return stateOfFiles(server, {
    inventory: await read("inventory.txt"),
    crl: await read("ca_crl.pem"),
    signed: await Promise.all(
      files.map(async (file) => ({ file, pem: await read(join("signed", file)) })),
    ),
  });
}
