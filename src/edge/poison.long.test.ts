// Requests that no server survives, or that servers refuse: how many servers one request reaches.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { writeFile } from "node:fs/promises";
import { wallMs } from "../host/clock.ts";
import { applyEdge, keepPoison } from "./apply.ts";
import { edgePaths, POISON_S } from "./config.ts";
import { observeEdge } from "./observe.ts";
import { edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";
const HAPROXY = { haproxy: toolPath("haproxy"), env: toolEnv() };

// Side by side, since most of it is waiting.
describe("an edge", { concurrency: true, timeout: 240_000 }, () => {
  describe("a catalog that kills its server", { concurrency: true, timeout: 240_000 }, () => {
    test("takes two, is named, and takes one in the next run", async () => {
      await using edge = await TestEdge.start({ puppetservers: 3 });
      const runtime = edgeRuntime(edge.config);
      const other = await edge.pki.pki.leaf("other", { subject: "/CN=other.test", ca: "issuing" });
      assert.equal((await edge.ask(`${CATALOG}?id=k1&die=50`, { body: "x" })).status, 500);
      const lost = await edge.servedBy("k1");
      assert.equal(lost.length, 2);
      assert.equal((await edge.ask(CATALOG, { leaf: other, body: "x" })).status, 200);

      const named = (await observeEdge(runtime)).poisonous;
      assert.deepEqual(
        named.map(({ certname }) => certname),
        ["agent1.test"],
      );
      assert.deepEqual(named[0]?.servers.toSorted(), lost);

      for (const name of lost) await edge.startToy(name);
      for (const name of lost) await edge.seen(name, "up");
      // A new worker must know it too.
      await applyEdge({ do: "reload", because: "test" }, edge.config, runtime, HAPROXY);
      assert.equal((await edge.ask(`${CATALOG}?id=k2&die=50`, { body: "x" })).status, 502);
      assert.equal((await edge.servedBy("k2")).length, 1);

      // Only its catalogs are dangerous.
      const asked = edge.ask(`/puppet/v3/file_metadata/x?id=f&gate=go`);
      edge.signal(await edge.begun("f"), "SIGKILL");
      await edge.open("go");
      assert.equal((await asked).status, 200);
    });

    test("stays named when HAProxy crashes, for an hour", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const runtime = edgeRuntime(edge.config);
      assert.equal((await edge.ask(`${CATALOG}?id=k&die=50`, { body: "x" })).status, 500);
      const named = (await observeEdge(runtime)).poisonous;
      await keepPoison(runtime);
      await crash(edge);
      await edge.startToy("p1");
      await edge.startHaproxy();
      assert.deepEqual((await observeEdge(runtime)).poisonous, named);
      await edge.seen("p1", "up");
      assert.equal((await edge.ask(`${CATALOG}?id=k2&die=50`, { body: "x" })).status, 502);

      await crash(edge);
      const at = Math.floor(wallMs() / 1000) - POISON_S - 1;
      await writeFile(edgePaths(edge.config).poison, `agent1.test ${at}|p1,p2\n`);
      await edge.startHaproxy();
      assert.deepEqual((await observeEdge(runtime)).poisonous, []);
    });

    test("takes two after a harmless replay on the same kept-alive connection, and both are named", async () => {
      await using edge = await TestEdge.start({ puppetservers: 4 });
      const agent = edge.connection();
      await edge.ask("/puppet/v3/node/agent1.test", { agent });
      const asked = edge.ask("/puppet/v3/file_metadata/x?id=h&gate=go", { agent });
      const lost = await edge.begun("h");
      edge.signal(lost, "SIGKILL");
      await edge.open("go");
      assert.equal((await asked).status, 200);
      await edge.startToy(lost);
      await edge.seen(lost, "up");
      await takesTwo(edge, agent);
    });

    test("takes two after many agents' requests were replayed", async () => {
      await using edge = await TestEdge.start({ puppetservers: 5 });
      const leaf = await edge.pki.pki.leaf("many", { subject: "/CN=other.test", ca: "issuing" });
      const ids = Array.from({ length: 12 }, (_, index) => `h${index}`);
      const asked = ids.map(async (id) => {
        const agent = edge.connection(leaf);
        await edge.ask("/puppet/v3/node/other.test", { agent });
        return edge.ask(`/puppet/v3/catalog/other.test?id=${id}&gate=go`, { body: "x", agent });
      });
      await Promise.all(ids.map(async (id) => edge.begun(id)));
      const [lost = ""] = await edge.servedBy("h0");
      edge.signal(lost, "SIGKILL");
      await edge.open("go");
      const answers = await Promise.all(asked);
      assert.ok(answers.every(({ status }) => status === 200));
      await edge.startToy(lost);
      await edge.seen(lost, "up");
      const agent = edge.connection();
      await edge.ask("/puppet/v3/node/agent1.test", { agent });
      await takesTwo(edge, agent);
    });

    /** Ends HAProxy without a chance to write anything; its worker ends with its master. */
    async function crash(edge: TestEdge): Promise<void> {
      const [worker] = await edgeRuntime(edge.config).workers();
      for (const pid of [edge.haproxy?.pid, worker?.pid]) process.kill(pid ?? 0, "SIGKILL");
      const gone = async () => !(await observeEdge(edgeRuntime(edge.config))).running;
      await until("HAProxy is gone", gone, { withinMs: 60_000, everyMs: 20 });
    }

    /** Sends it on the kept-alive connection of `agent`. */
    async function takesTwo(edge: TestEdge, agent: ReturnType<TestEdge["connection"]>) {
      const answer = await edge.ask(`${CATALOG}?id=k&die=50`, { body: "x", agent });
      assert.equal(answer.status, 500);
      const lost = await edge.servedBy("k");
      assert.equal(lost.length, 2);
      const { poisonous } = await observeEdge(edgeRuntime(edge.config));
      assert.deepEqual(
        poisonous.map(({ certname, servers }) => [certname, servers.toSorted()]),
        [["agent1.test", lost]],
      );
      await edge.logged(/ tier=once .* lost=p\d /);
    }
  });

  describe("a puppetserver answers 503 of its own", { concurrency: true, timeout: 240_000 }, () => {
    for (const kept of [false, true]) {
      test(`one other is asked, and the agent hears 503 ${kept ? "on a kept-alive" : "on a new"} connection`, async () => {
        await using edge = await TestEdge.start({ puppetservers: 3 });
        const agent = edge.connection();
        if (kept) await edge.ask("/puppet/v3/node/agent1.test", { agent });
        const answer = await edge.ask(`${CATALOG}?id=b&status=503`, { body: "x", agent });
        assert.equal(answer.status, 503);
        assert.equal((await edge.servedBy("b")).length, 2);
        assert.ok(!Object.keys(answer.headers).some((name) => name.startsWith("x-understudy")));
        assert.deepEqual((await observeEdge(edgeRuntime(edge.config))).poisonous, []);
      });
    }
  });
});
