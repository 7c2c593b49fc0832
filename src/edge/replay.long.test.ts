// Puppetservers that die, one, two or all, in the middle of requests, behind real HAProxy.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deadline, pause, until } from "../base/retry.ts";
import { observeEdge } from "./observe.ts";
import { edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";
const unique = (names: string[]) => [...new Set(names)];

// Side by side, since most of it is waiting.
describe("an edge", { concurrency: true, timeout: 240_000 }, () => {
  describe("a puppetserver dies", { concurrency: true, timeout: 240_000 }, () => {
    for (const chunked of [false, true]) {
      const how = chunked ? "in chunks" : "with its length";
      test(`a request of 300 KB ${how} is repeated on another one, and only then`, async () => {
        await using edge = await TestEdge.start({ puppetservers: 2 });
        const body = Buffer.alloc(300_000, "f");
        const first = (await edge.ask(`${CATALOG}?id=before`, { body, chunked })).json;
        const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body, chunked });
        const lost = await edge.begun("a");
        edge.signal(lost, "SIGKILL");
        await edge.open("go");
        const answer = await asked;
        assert.equal(answer.status, 200);
        assert.notEqual(answer.json.server, lost);
        assert.equal(answer.json.sha256, first.sha256);
        assert.deepEqual(answer.json.headers, first.headers);
        assert.deepEqual(await edge.servedBy("a"), ["p1", "p2"]);
        const line = await edge.logged(/tier=again/);
        assert.match(line, new RegExp(` certname=agent1\\.test .* replay=yes lost=${lost} `));
        assert.equal((await observeEdge(edgeRuntime(edge.config))).replays, 1);
      });
    }

    test("a report is repeated as well; an error of the puppetserver's own is not", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const report = "/puppet/v3/report/agent1.test";
      const put = { method: "PUT", body: "{}" };
      const answer = await edge.ask(`${report}?id=e&status=500`, put);
      assert.equal(answer.status, 500);
      assert.equal((await edge.servedBy("e")).length, 1);
      const asked = edge.ask(`${report}?id=r&gate=go`, put);
      edge.signal(await edge.begun("r"), "SIGKILL");
      await edge.open("go");
      assert.equal((await asked).status, 200);
      assert.deepEqual(await edge.servedBy("r"), ["p1", "p2"]);
    });

    test("a request larger than the replay buffer fails when its server dies, and is not repeated", async () => {
      await using edge = await TestEdge.start({ puppetservers: 2 });
      const asked = edge.ask(`${CATALOG}?id=b&gate=never`, { body: Buffer.alloc(3_000_000) });
      edge.signal(await edge.begun("b"), "SIGKILL");
      assert.equal((await asked).status, 502);
      assert.equal((await edge.servedBy("b")).length, 1);
    });

    test("requests go past dead puppetservers that no check has found yet", async () => {
      await using edge = await TestEdge.start({ puppetservers: 3 });
      edge.signal("p1", "SIGKILL");
      edge.signal("p2", "SIGKILL");
      const ids = Array.from({ length: 6 }, (_, index) => `n${index}`);
      const answers = await Promise.all(
        ids.map(async (id) => edge.ask(`${CATALOG}?id=${id}`, { body: "x" })),
      );
      assert.deepEqual(unique(answers.map(({ status, json }) => `${status} ${json.server}`)), [
        "200 p3",
      ]);
      for (const id of ids) assert.deepEqual(await edge.servedBy(id), ["p3"]);
    });
  });

  describe("every puppetserver dies", { concurrency: true, timeout: 240_000 }, () => {
    test("requests under way, new ones and queued ones wait for the first that comes back", async () => {
      const backends = { puppetservers: 3 };
      await using edge = await TestEdge.start(backends);
      const catalog = async (id: string) =>
        edge.ask(`${CATALOG}?id=${id}&gate=go`, { body: "x".repeat(100_000) });
      // Four each are worked on, the others queue.
      const early = Array.from({ length: 15 }, (_, index) => catalog(`q${index}`));
      const waiting = async () => (await observeEdge(edgeRuntime(edge.config))).waiting === 3;
      await until("three requests queue", waiting, { withinMs: 60_000, everyMs: 20 });
      for (const name of ["p1", "p2", "p3"]) edge.signal(name, "SIGKILL");
      const late = [catalog("l0"), catalog("l1")];
      for (const name of ["p1", "p2", "p3"]) await edge.seen(name, "down");
      const latest = catalog("l2");
      assert.equal((await edge.ask("/status/v1/simple/server")).status, 503);
      await edge.open("go");
      await edge.startToy("p2");
      const answers = await Promise.all([...early, ...late, latest]);
      assert.deepEqual(unique(answers.map(({ status, json }) => `${status} ${json.server}`)), [
        "200 p2",
      ]);
    });

    test("an agent that stops waiting costs the next puppetserver nothing", async () => {
      await using edge = await TestEdge.start({ puppetservers: 1 });
      edge.signal("p1", "SIGKILL");
      await edge.seen("p1", "down");
      const agent = edge.connection();
      const gone = edge.ask(`${CATALOG}?id=gone`, { agent, body: "x" }).catch(() => "gone");
      const stays = edge.ask(`${CATALOG}?id=stays`, { body: "x" });
      const held = async () => (await observeEdge(edgeRuntime(edge.config))).waiting === 2;
      await until("two requests are held", held, { withinMs: 60_000, everyMs: 20 });
      agent.destroy();
      assert.equal(await gone, "gone");
      await edge.startToy("p1");
      assert.equal((await stays).status, 200);
      assert.deepEqual(await edge.servedBy("gone"), []);
    });

    test("HAProxy starts without any puppetserver, daemon or file server, and says so to who asks", async () => {
      await using edge = await TestEdge.start({ puppetservers: 0 });
      assert.equal((await edge.ask("/status/v1/simple/server")).status, 503);
      assert.equal((await edge.ask("/puppet-ca/v1/certificate/ca")).status, 503);
      const agent = edge.connection();
      const held = edge.ask(CATALOG, { agent, body: "x" }).then(
        () => "answered",
        () => "still held",
      );
      await pause(500, deadline(500));
      agent.destroy();
      assert.equal(await held, "still held");
    });
  });

  describe("puppetservers that live", { concurrency: true, timeout: 240_000 }, () => {
    test("each works on as many requests as it has JRubies; what needs none goes past the queue", async () => {
      await using edge = await TestEdge.make({ puppetservers: 1 });
      const backends = edge.config.backends.map((backend) => ({ ...backend, jrubies: 2 }));
      await using small = edge.with({ ...edge.config, backends });
      await small.startToy("p1");
      await small.startHaproxy();
      const asked = Array.from({ length: 6 }, async (_, index) =>
        small.ask(`${CATALOG}?id=c${index}&gate=go`, { body: "x" }),
      );
      const full = async () => (await observeEdge(edgeRuntime(small.config))).waiting > 0;
      await until("requests queue", full, { withinMs: 60_000, everyMs: 10 });
      const file = await small.ask("/puppet/v3/static_file_content/modules/x?id=light");
      assert.equal(file.status, 200);
      await small.open("go");
      assert.ok((await Promise.all(asked)).every(({ status }) => status === 200));
      let working = 0;
      for (const line of (await small.toys.get("p1")?.log()) ?? []) {
        if (!/ c\d/.test(line)) continue;
        working += line.startsWith("start") ? 1 : -1;
        assert.ok(working <= 2, line);
      }
    });

    test("one that is unfit gets requests while no other is up, and only then", async () => {
      await using made = await TestEdge.make({ puppetservers: 3 });
      const backends = made.config.backends.map((backend) => ({
        ...backend,
        lastResort: backend.name !== "p3",
      }));
      await using edge = made.with({ ...made.config, backends });
      await Promise.all(["p1", "p2", "p3"].map(async (name) => edge.startToy(name)));
      await edge.startHaproxy();
      const file = "/puppet/v3/static_file_content/x";
      const served = async (path: string) =>
        unique(
          (await Promise.all([1, 2, 3, 4].map(async () => edge.ask(path, { body: "x" })))).map(
            ({ status, json }) => `${status} ${json.server}`,
          ),
        ).sort();
      assert.deepEqual(await served(CATALOG), ["200 p3"]);
      assert.deepEqual(await served(file), ["200 p3"]);
      await edge.seen("p1", "drained");
      const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body: "x" });
      assert.equal(await edge.begun("a"), "p3");
      edge.signal("p3", "SIGKILL");
      await edge.open("go");
      assert.notEqual((await asked).json.server, "p3");
      assert.deepEqual(await served(CATALOG), ["200 p1", "200 p2"]);
      assert.deepEqual(await served(file), ["200 p1", "200 p2"]);
      await edge.startToy("p3");
      await edge.seen("p3", "up");
      assert.deepEqual(await served(CATALOG), ["200 p3"]);
    });

    test("one that is still starting gets nothing", async () => {
      await using edge = await TestEdge.make({ puppetservers: 2 });
      await edge.setHealth("p1", 503);
      await Promise.all([edge.startToy("p1"), edge.startToy("p2")]);
      await edge.startHaproxy();
      await edge.seen("p1", "starting");
      for (let round = 0; round < 6; round += 1) {
        assert.equal((await edge.ask(CATALOG, { body: "x" })).json.server, "p2");
      }
      await edge.setHealth("p1", 200);
      await edge.seen("p1", "up");
    });
  });
});
