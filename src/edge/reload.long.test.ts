// A running edge that is changed: nobody's connection breaks, and what was revoked stays out
// everywhere.

import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { applyEdge, keepPoison, writeEdgeFiles } from "./apply.ts";
import type { EdgeConfig } from "./config.ts";
import { revocationKey } from "./identity.ts";
import { settleEdge } from "./loop.ts";
import { observeEdge } from "./observe.ts";
import { addRevokedToFile, confirmRevoked, readRevoked } from "./revocations.ts";
import { askSocket, edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";
const HAPROXY = { haproxy: toolPath("haproxy"), env: toolEnv() };

function oneJruby(backend: EdgeConfig["backends"][number]): EdgeConfig["backends"][number] {
  return { ...backend, jrubies: 1 };
}

/**
 * Brings the running edge to `desired`, checks that nothing is left to do, and tells what was done.
 */
async function settle(desired: EdgeConfig): Promise<string[]> {
  const { actions } = await settleEdge(desired, HAPROXY);
  assert.deepEqual((await settleEdge(desired, HAPROXY)).actions, []);
  return actions.map((action) => action.do);
}

// Side by side, since most of it is waiting.
describe("an edge", { concurrency: true, timeout: 240_000 }, () => {
  describe("a running edge", { concurrency: true, timeout: 240_000 }, () => {
    test("is brought to another configuration at run time, by reload where it must be", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const { config } = edge;
      assert.deepEqual(await settle(config), []);
      const [first, second] = config.backends;
      assert.ok(first !== undefined && second !== undefined);
      const more = { ...config, backends: [{ ...first, jrubies: 7 }, second] };
      assert.deepEqual(await settle(more), ["write", "set-maxconn"]);
      const unfit = { ...config, backends: [first, { ...second, lastResort: true }] };
      assert.deepEqual(await settle(unfit), ["write", "reload"]);
      for (let round = 0; round < 4; round += 1) {
        assert.equal((await edge.ask(CATALOG)).json.server, "p1");
        assert.equal((await edge.ask("/puppet/v3/static_file_content/x")).json.server, "p1");
      }
      const fewer = { ...config, backends: [second] };
      assert.deepEqual(await settle(fewer), ["write", "reload"]);
      assert.equal((await edge.ask(CATALOG)).json.server, "p2");
      // What is in the file is what a new start would give.
      const less = { ...fewer, backends: [{ ...second, jrubies: 2 }] };
      assert.deepEqual(await settle(less), ["write", "set-maxconn"]);
      assert.match(
        await readFile(edgeRuntime(config).paths.config, "utf8"),
        /server p2 .*maxconn 2 /,
      );
    });

    test("breaks nobody's connection when it is reloaded: idle ones, running and held requests", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const agents = Array.from({ length: 8 }, () => edge.connection());
      for (const agent of agents) assert.equal((await edge.ask(CATALOG, { agent })).status, 200);
      const long = edge.ask(`${CATALOG}?id=long&gate=go`, { body: Buffer.alloc(300_000) });
      await edge.begun("long");
      const reloading = new AbortController();
      const traffic = agents.slice(0, 4).map(async (agent) => {
        const seen: number[] = [];
        while (!reloading.signal.aborted) {
          seen.push((await edge.ask(CATALOG, { agent, body: "x" })).status);
        }
        return seen;
      });
      for (const memoryMiB of [600, 700, 800]) {
        assert.deepEqual(await settle({ ...edge.config, memoryMiB }), ["write", "reload"]);
      }
      reloading.abort();
      const statuses = (await Promise.all(traffic)).flat();
      assert.ok(statuses.every((status) => status === 200));
      for (const agent of agents) assert.equal((await edge.ask(CATALOG, { agent })).status, 200);
      await edge.open("go");
      assert.equal((await long).status, 200);
      assert.equal((await edge.servedBy("long")).length, 1);
    });

    test("takes a held request along when it is reloaded, however often", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      edge.signal("p1", "SIGKILL");
      await edge.seen("p1", "down");
      const held = edge.ask(CATALOG, { body: "x" });
      for (const memoryMiB of [600, 610, 620, 630, 640]) {
        await settle({ ...edge.config, memoryMiB });
        await edge.seen("p1", "down");
        const came = async () => (await observeEdge(edgeRuntime(edge.config))).waiting === 1;
        await until("the new worker has the request", came, { withinMs: 60_000, everyMs: 50 });
      }
      await edge.startToy("p1");
      assert.equal((await held).status, 200);
    });

    test("is written without a new file beside those it has, as a disk without inodes takes none", async () => {
      await using edge = await TestEdge.make({ puppetservers: 1 });
      const { stateDir } = edge.config;
      assert.equal((await writeEdgeFiles(edge.config, HAPROXY)).length, 2);
      const { mtimeNs } = await stat(stateDir, { bigint: true });
      assert.deepEqual(await writeEdgeFiles(edge.config, HAPROXY), []);
      assert.equal((await stat(stateDir, { bigint: true })).mtimeNs, mtimeNs);
    });

    test("keeps what it has when the new configuration is refused", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const before = await readFile(edgeRuntime(edge.config).paths.config, "utf8");
      const broken = { ...edge.config, certificateFile: "/nowhere.pem" };
      await assert.rejects(writeEdgeFiles(broken, HAPROXY), (error) =>
        isFault(error, "edge.config-refused"),
      );
      assert.equal(await readFile(edgeRuntime(edge.config).paths.config, "utf8"), before);
      assert.equal((await edge.ask(CATALOG)).status, 200);
    });

    test("is reloaded though the list of poisonous catalogs can't be written, as on a full disk", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const [first, second] = edge.config.backends;
      assert.ok(first !== undefined && second !== undefined);
      const unfit = { ...edge.config, backends: [first, { ...second, lastResort: true }] };
      await writeEdgeFiles(unfit, HAPROXY);
      const real = edgeRuntime(edge.config);
      const blocked = `${edge.folder}/blocked`;
      await writeFile(blocked, "");
      const runtime = { ...real, paths: { ...real.paths, poison: `${blocked}/poison.map` } };
      await assert.rejects(keepPoison(runtime));
      await applyEdge({ do: "reload", because: "test" }, unfit, runtime, HAPROXY);
      for (let round = 0; round < 4; round += 1) {
        assert.equal((await edge.ask(CATALOG)).json.server, "p1");
      }
    });

    test("refuses what was revoked in every worker, on connections that were open before", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const runtime = edgeRuntime(edge.config);
      const [former, current, other] = [
        edge.connection(),
        edge.connection(),
        edge.connection(null),
      ];
      assert.equal((await edge.ask(CATALOG, { agent: former })).status, 200);
      const long = edge.ask(`${CATALOG}?id=long&gate=go`, { body: "x" });
      await edge.begun("long");
      await settle({ ...edge.config, memoryMiB: 600 });
      assert.equal((await edge.ask(CATALOG, { agent: current })).status, 200);
      assert.equal((await edge.ask(CATALOG, { agent: other })).status, 200);
      const keys = [revocationKey(edge.pki.issuer, "a")];
      const told = await confirmRevoked(runtime, edge.config.stateDir, keys);
      assert.deepEqual(told, { workers: 2, confirmed: true, ended: [], because: "" });
      for (const options of [{ agent: former }, { agent: current }, {}]) {
        assert.equal((await edge.ask(CATALOG, options)).status, 403);
      }
      assert.equal((await edge.ask(CATALOG, { agent: other })).status, 200);
      await edge.open("go");
      assert.equal((await long).status, 403, "it was under way");
      // And after a reload, from the file.
      await settle({ ...edge.config, memoryMiB: 700 });
      assert.equal((await edge.ask(CATALOG)).status, 403);
    });

    test("refuses what a former worker has of the revoked: a half-sent request and a queued one", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const runtime = edgeRuntime(edge.config);
      const one = { ...edge.config, backends: edge.config.backends.map(oneJruby) };
      await settle(one);
      const agent = edge.connection();
      assert.equal((await edge.ask(CATALOG, { agent })).status, 200);
      const compiling = edge.ask(`${CATALOG}?id=long&gate=go`, { leaf: null, body: "x" });
      await edge.begun("long");
      const queued = edge.ask(`${CATALOG}?id=queued`, { body: "x" });
      const waits = async () => (await observeEdge(runtime)).waiting === 1;
      await until("one request waits", waits, { withinMs: 60_000, everyMs: 50 });
      const { promise: rest, resolve: sendRest } = Promise.withResolvers<void>();
      const half = edge.ask(`${CATALOG}?id=half`, { agent, body: "xy", rest });
      await settle({ ...one, memoryMiB: 600 });
      const keys = [revocationKey(edge.pki.issuer, "a")];
      const told = await confirmRevoked(runtime, edge.config.stateDir, keys);
      assert.deepEqual(told, { workers: 2, confirmed: true, ended: [], because: "" });
      sendRest();
      assert.equal((await half).status, 403);
      assert.deepEqual(await edge.servedBy("half"), []);
      await edge.open("go");
      assert.equal((await compiling).status, 200);
      assert.equal((await queued).status, 403);
    });

    test("ends a former worker that does not confirm a revocation", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const runtime = edgeRuntime(edge.config);
      const long = edge.ask(`${CATALOG}?id=long&gate=never`, { body: "x" }).catch(() => "ended");
      await edge.begun("long");
      await settle({ ...edge.config, memoryMiB: 600 });
      const former = (await runtime.workers()).find((worker) => worker.former)?.pid ?? 0;
      process.kill(former, "SIGSTOP");
      const keys = [revocationKey(edge.pki.issuer, "b")];
      const told = await confirmRevoked(runtime, edge.config.stateDir, keys);
      assert.deepEqual(told, { workers: 2, confirmed: true, ended: [former], because: "" });
      assert.equal(await long, "ended");
      assert.equal((await edge.ask(CATALOG)).status, 200);
    });
  });

  describe("revoked.acl", () => {
    test("keeps every key that several writers add at once, and is there for an edge that starts later", async () => {
      await using edge = await TestEdge.make({ puppetservers: 1 });
      const { stateDir } = edge.config;
      const runtime = edgeRuntime(edge.config);
      const key = (serial: number) => revocationKey(edge.pki.issuer, serial.toString(16));
      const sets = Array.from({ length: 10 }, (_, set) => [
        key(10),
        key(100 + set),
        key(200 + set),
      ]);
      const added = await Promise.all(sets.map(async (keys) => addRevokedToFile(stateDir, keys)));
      assert.equal(
        added.reduce((sum, count) => sum + count),
        21,
      );
      assert.equal((await readRevoked(runtime.paths.revoked)).size, 21);
      const told = await confirmRevoked(runtime, stateDir, [key(300)]);
      assert.deepEqual(told, { workers: 0, confirmed: true, ended: [], because: "" });
      await edge.startToy("p1");
      await edge.startHaproxy();
      assert.equal((await edge.ask(CATALOG)).status, 403);
    });

    test("confirmRevoked says why it could not, when HAProxy's master hangs", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      edge.haproxy?.kill("SIGSTOP");
      const keys = [revocationKey(edge.pki.issuer, "c")];
      const told = await confirmRevoked(edgeRuntime(edge.config), edge.config.stateDir, keys);
      edge.haproxy?.kill("SIGCONT");
      assert.equal(told.confirmed, false);
      assert.equal(told.because, "HAProxy's master does not answer");
    });

    test("confirmRevoked makes no command of a key that isn't one", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const runtime = edgeRuntime(edge.config);
      const good = revocationKey(edge.pki.issuer, "d");
      const before = await readFile(runtime.paths.revoked, "utf8");
      for (const key of ["AA;@1 disable server compilers/p1", `${good};@1 help`, `${good}\nX`]) {
        await assert.rejects(confirmRevoked(runtime, edge.config.stateDir, [good, key]), (error) =>
          isFault(error, "edge.revocation-key"),
        );
      }
      assert.equal(await readFile(runtime.paths.revoked, "utf8"), before);
      assert.match(await runtime.ask("show servers state compilers"), / p1 /);
      assert.equal((await edge.ask(CATALOG)).json.server, "p1");
    });

    test("confirmRevoked tells the workers also when the file can't be written, and says so", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const runtime = edgeRuntime(edge.config);
      const blocked = `${edge.folder}/blocked`;
      await writeFile(blocked, "");
      const keys = [revocationKey(edge.pki.issuer, "a")];
      const told = await confirmRevoked(runtime, `${blocked}/state`, keys);
      assert.equal(told.confirmed, false);
      assert.match(told.because, /^the list of revocations can't be written: /);
      assert.equal((await edge.ask(CATALOG)).status, 403);
    });

    test("confirmRevoked ends no former worker for a reload that takes the master's socket away meanwhile", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const real = edgeRuntime(edge.config);
      const long = edge.ask(`${CATALOG}?id=long&gate=go`, { body: "x" });
      await edge.begun("long");
      await settle({ ...edge.config, memoryMiB: 600 });
      const former = (await real.workers()).find((worker) => worker.former)?.pid;
      let refused = 0;
      const runtime = {
        ...real,
        async askWorker(pid: number, commands: readonly string[]) {
          if (pid !== former || refused > 0) return real.askWorker(pid, commands);
          refused += 1;
          return askSocket(`${edge.folder}/nobody.sock`, "show acl");
        },
      };
      const keys = [revocationKey(edge.pki.issuer, "b")];
      const told = await confirmRevoked(runtime, edge.config.stateDir, keys);
      assert.deepEqual([told.confirmed, told.ended, refused], [true, [], 1]);
      await edge.open("go");
      assert.equal((await long).status, 200);
    });

    test("confirmRevoked asks a worker again that became a former one while it was asked", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      const agent = edge.connection();
      assert.equal((await edge.ask(CATALOG, { agent })).status, 200);
      const real = edgeRuntime(edge.config);
      let asked = 0;
      const runtime = {
        ...real,
        async askWorker(pid: number, commands: readonly string[]) {
          asked += 1;
          if (asked > 1) return real.askWorker(pid, commands);
          await settle({ ...edge.config, memoryMiB: 600 });
          throw new Error("the master's socket was away");
        },
      };
      const keys = [revocationKey(edge.pki.issuer, "a")];
      const told = await confirmRevoked(runtime, edge.config.stateDir, keys);
      assert.deepEqual(told, { workers: 2, confirmed: true, ended: [], because: "" });
      assert.equal((await edge.ask(CATALOG, { agent })).status, 403);
    });
  });
});
