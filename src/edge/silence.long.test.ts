// Puppetservers that answer nothing for a while without being dead: a long garbage collection, or
// hung. The waits here are the length of the silence itself, which is what is tried.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pause } from "../base/retry.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { applyEdge } from "./apply.ts";
import { edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CATALOG = "/puppet/v3/catalog/agent1.test";

describe("a puppetserver is silent", { concurrency: true, timeout: 240_000 }, () => {
  test("for 6 s: it gets no new requests, keeps the running ones, and none is repeated", async () => {
    await using edge = await TestEdge.start({ puppetservers: 2 });
    const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body: "x" });
    const silent = await edge.begun("a");
    edge.signal(silent, "SIGSTOP");
    await edge.open("go");
    const end = pause(6000);
    await edge.seen(silent, "silent");
    for (let round = 0; round < 4; round += 1) {
      const answer = await edge.ask(CATALOG, { body: "x" });
      assert.equal(answer.status, 200);
      assert.notEqual(answer.json.server, silent);
    }
    await end;
    edge.signal(silent, "SIGCONT");
    const answer = await asked;
    assert.equal(answer.status, 200);
    assert.equal(answer.json.server, silent);
    assert.deepEqual(await edge.servedBy("a"), [silent]);
    await edge.seen(silent, "up");
  });

  test("for good: its running requests are repeated on another one", async () => {
    await using edge = await TestEdge.start({ puppetservers: 2 });
    const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body: "x" });
    const light = edge.ask("/puppet/v3/static_file_content/x?id=l&gate=go");
    const silent = await edge.begun("a");
    const silentLight = await edge.begun("l");
    edge.signal(silent, "SIGSTOP");
    await edge.open("go");
    const answer = await asked;
    assert.equal(answer.status, 200);
    assert.notEqual(answer.json.server, silent);
    assert.deepEqual(await edge.servedBy("a"), ["p1", "p2"]);
    assert.equal((await light).status, 200, `light began on ${silentLight}`);
  });

  test("for good, and all of them: requests wait for the first that speaks again", async () => {
    await using edge = await TestEdge.start({ puppetservers: 2 });
    const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body: "x" });
    await edge.begun("a");
    for (const name of ["p1", "p2"]) edge.signal(name, "SIGSTOP");
    await edge.open("go");
    for (const name of ["p1", "p2"]) await edge.seen(name, "silent");
    const later = edge.ask(`${CATALOG}?id=b`, { body: "x" });
    await edge.logged(/ tier=once .* lost=p\d /);
    edge.signal("p2", "SIGCONT");
    assert.deepEqual([(await asked).status, (await later).status], [200, 200]);
  });

  test("for good, and HAProxy was reloaded meanwhile: the former worker lets go as well", async () => {
    await using edge = await TestEdge.start({ puppetservers: 2 });
    const asked = edge.ask(`${CATALOG}?id=a&gate=go`, { body: "x" });
    const silent = await edge.begun("a");
    edge.signal(silent, "SIGSTOP");
    await edge.open("go");
    const options = { haproxy: toolPath("haproxy"), env: toolEnv() };
    const runtime = edgeRuntime(edge.config);
    await applyEdge({ do: "reload", because: "test" }, edge.config, runtime, options);
    const answer = await asked;
    assert.equal(answer.status, 200);
    assert.notEqual(answer.json.server, silent);
  });
});
