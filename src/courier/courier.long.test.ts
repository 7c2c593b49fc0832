// Whole couriers as processes: what they answer, what reaches which PuppetDB, and what is left when
// one of them dies.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { until } from "../base/retry.ts";
import { SOON, TestCouriers, untilFit, untilHas } from "./testing/couriers.ts";

const REPORT = "command=store_report&version=8&certname=a.test";

describe("couriers", { concurrency: true, timeout: 120_000 }, () => {
  test("bring a command byte for byte to every PuppetDB", async () => {
    await using couriers = await TestCouriers.make({ couriers: 3, puppetdbs: 2 });
    await couriers.start();
    const body = gzipSync('{"certname":"a.test", "n": 1.0, "big": 12345678901234567890}');
    const headers = { "content-encoding": "gzip", "x-uncompressed-length": "60" };
    const answer = await couriers.ask("s3.test", `/pdb/cmd/v1?${REPORT}&checksum=x`, {
      body,
      headers,
    });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.text, /^\{"uuid":"[0-9a-f-]{36}"\}$/);
    for (const id of ["s1.test", "s2.test"]) {
      await untilHas(couriers, id, ["a.test"]);
      const [got] = couriers.toy(id).got;
      assert.ok(got?.body.equals(body));
      assert.equal(got?.headers["content-encoding"], "gzip");
      assert.equal(got?.headers["x-uncompressed-length"], "60");
      assert.equal(got?.query.get("checksum"), "x");
    }
  });

  test("keep what they took for a PuppetDB that is down or can't write, and bring it later", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    couriers.toy("s1.test").writable = false;
    await couriers.toy("s2.test").stop();
    await couriers.start();
    for (const name of ["a.test", "b.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    const [old, fresh] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"];
    for (const at of [old, fresh]) {
      const facts = { command: "replace_facts", version: 5, at };
      assert.equal(await couriers.command("s1.test", "c.test", facts), 200);
    }
    await couriers.kill("s1.test");
    await couriers.start("s1.test");
    couriers.toy("s1.test").writable = true;
    await couriers.toy("s2.test").start();
    for (const id of ["s1.test", "s2.test"]) {
      await untilHas(couriers, id, ["a.test", "b.test", "c.test"]);
      const facts = couriers.toy(id).got.filter(({ query }) => query.get("certname") === "c.test");
      assert.deepEqual(
        facts.map(({ query }) => query.get("producer-timestamp")),
        [fresh],
      );
    }
  });

  test("lose nothing when the one that took a command dies for good right after its answer", async () => {
    await using couriers = await TestCouriers.make({ couriers: 3, puppetdbs: 1 });
    couriers.toy("s1.test").writable = false;
    await couriers.start();
    const copied = async () => {
      const { couriers: others } = (await couriers.status("s3.test")) as {
        couriers: { reachable: boolean }[];
      };
      return others.every(({ reachable }) => reachable);
    };
    await until("the others are seen", copied, SOON);
    const names = Array.from({ length: 20 }, (_, index) => `n${index}.test`);
    const sent = names.map(async (name) => couriers.command("s3.test", name));
    assert.ok((await Promise.all(sent)).every((status) => status === 200));
    await couriers.kill("s3.test");
    couriers.toy("s1.test").writable = true;
    await untilHas(couriers, "s1.test", names);
  });

  test("say how many copies there are, and make the second when another courier is back", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 1 });
    couriers.toy("s1.test").writable = false;
    await couriers.start("s1.test");
    assert.equal(await couriers.command("s1.test", "a.test"), 200);
    assert.equal((await couriers.status("s1.test"))["singleCopies"], 1);
    await couriers.kill("s1.test");
    await couriers.start("s1.test");
    const told = async () => (await couriers.status("s1.test"))["singleCopies"] === 1;
    await until("it says so after a restart too", told, SOON);
    await couriers.start("s2.test");
    const copied = async () => (await couriers.status("s1.test"))["singleCopies"] === 0;
    await until("it has a second copy", copied, SOON);
  });

  test("refuse what PuppetDB would take in silence and drop, and whoever isn't allowed", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    await couriers.start();
    const path = `/pdb/cmd/v1?${REPORT}`;
    const good = '{"certname":"a.test"}';
    const cases: [string, Parameters<TestCouriers["ask"]>[2], number][] = [
      [path, { method: "GET" }, 405],
      [path, { body: "{" }, 400],
      [path, { body: '{"certname":"b.test"}' }, 400],
      [path, { body: good, headers: { "content-encoding": "gzip" } }, 400],
      [path, { body: good, headers: { "content-encoding": "deflate" } }, 415],
      [path, { body: good, headers: { "content-type": "text/plain" } }, 415],
      [path, { body: good, headers: { accept: "text/html" } }, 406],
      [`${path}&x=1`, { body: good }, 400],
      ["/pdb/cmd/v1?command=replace_facts&version=99&certname=a.test", { body: good }, 400],
      [path, { body: good, as: "stranger.test" }, 403],
      [
        path,
        {
          body: gzipSync(Buffer.alloc(70 * 1024 * 1024, 32)),
          headers: { "content-encoding": "gzip" },
        },
        413,
      ],
    ];
    for (const [url, options, status] of cases) {
      const answer = await couriers.ask("s1.test", url, options);
      assert.equal(answer.status, status, `${url} ${answer.text}`);
    }
    assert.equal(couriers.toy("s1.test").got.length, 0);
  });

  test("show whoever isn't allowed how PuppetDB is, and nothing else, however a path is spelled", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    await couriers.start();
    await untilFit(couriers, "s1.test");
    const as = "stranger.test";
    for (const path of [
      "/pdb/query/v4/nodes",
      "//pdb/query/v4/nodes",
      "/%70db/query/v4/nodes",
      "/./pdb/query/v4/nodes",
      "/status/../pdb/query/v4/nodes",
      "/status/%2e%2e/pdb/query/v4/nodes",
      "/status/..;/pdb/query/v4/nodes",
      "http://s1.test/pdb/query/v4/nodes",
    ]) {
      const { status, text } = await couriers.ask("s1.test", path, { as });
      assert.equal(status, 403, `${path} ${text}`);
    }
    for (const path of ["/status/v1/services/puppetdb-status", "/metrics/v2/read/a.b:name=c.d"]) {
      assert.equal((await couriers.ask("s1.test", path, { as })).status, 200, path);
    }
  });

  test("put aside what a PuppetDB will never take, and go on with the rest", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const toy = couriers.toy("s1.test");
    toy.answer = ({ query }) => ({
      status: query.get("certname") === "bad.test" ? 400 : 200,
      body: "no",
    });
    await couriers.start();
    for (const name of ["bad.test", "a.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    await untilHas(couriers, "s1.test", ["a.test"]);
    const dead = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as {
        puppetdbs: { deadLetters: number; commands: number }[];
      };
      return puppetdbs[0]?.deadLetters === 1 && puppetdbs[0].commands === 0;
    };
    await until("one dead letter", dead, SOON);
  });

  test("send queries to a fit PuppetDB, never to one that lacks something, and break off what breaks off", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    couriers.toy("s2.test").writable = false;
    await couriers.start();
    await untilFit(couriers, "s1.test");
    couriers.toy("s2.test").writable = true;
    const ask = async () => couriers.ask("s1.test", "/pdb/query/v4/resources?query=x");
    const first = await ask();
    assert.match(first.text, /"by":"s1.test","path":"\/pdb\/query\/v4\/resources\?query=x"/);
    assert.equal(first.headers["x-records"], "1");
    couriers.toy("s1.test").breaksOff = true;
    assert.equal((await ask()).status, 0, "half an answer is none");
    couriers.toy("s1.test").breaksOff = false;
    // What comes while it is down must be there before it answers again.
    couriers.toy("s1.test").writable = false;
    const moved = async () => /"by":"s2.test"/.test((await ask()).text);
    await until("queries go to the other", moved, SOON);
    // They go there as soon as either courier has seen it; the other would still send the command.
    const seen = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as {
        puppetdbs: { id: string; because: string }[];
      };
      return puppetdbs.some(({ id, because }) => id === "s1.test" && /takes nothing/.test(because));
    };
    await until("its own courier has seen it", seen, SOON);
    assert.equal(await couriers.command("s1.test", "a.test"), 200);
    couriers.toy("s1.test").answer = () => ({
      status: 503,
      body: '{"processed":false,"timed_out":true}',
    });
    couriers.toy("s1.test").writable = true;
    await couriers.toy("s2.test").stop();
    const none = async () => {
      const { status, text } = await ask();
      return status === 503 && /s1\.test: it lacks 1 commands/.test(text);
    };
    await until("none is fit", none, SOON);
  });

  test("bring a command once to PuppetDBs that share a database, by one that can store it", async () => {
    await using couriers = await TestCouriers.make({ couriers: 3, puppetdbs: 2 });
    couriers.more = { shared: true };
    await couriers.start();
    const got = () => [...couriers.puppetdbs.values()].flatMap((toy) => toy.certnames()).toSorted();
    const send = async (from: number, count: number) => {
      const names = Array.from({ length: count }, (_, index) => `n${from + index}.test`);
      const sent = names.map(async (name) => couriers.command("s3.test", name));
      assert.ok((await Promise.all(sent)).every((status) => status === 200));
    };
    await send(10, 5);
    await until("all are there", () => got().length === 5, SOON);
    await couriers.toy("s1.test").stop();
    await send(20, 5);
    await until("the other one has them", () => got().length === 10, SOON);
    assert.equal(new Set(got()).size, 10);
    const elsewhere = async () =>
      (await couriers.ask("s3.test", "/pdb/query/v4/nodes")).text.includes("s2.test");
    await until("queries go there too", elsewhere, SOON);
    couriers.toy("s2.test").writable = false;
    await send(30, 5);
    await couriers.kill("s3.test");
    await couriers.start("s3.test");
    await couriers.toy("s1.test").start();
    await until("what waited is there", () => new Set(got()).size === 15, SOON);
    const waiting = async () => {
      const { puppetdbs } = (await couriers.status("s3.test")) as {
        puppetdbs: { commands: number }[];
      };
      return puppetdbs.map(({ commands }) => commands).join();
    };
    await until("nothing waits any more", async () => (await waiting()) === "0,0", SOON);
  });
});
