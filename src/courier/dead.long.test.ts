// A courier whose PuppetDB refuses commands, and an administrator who has them tried again or
// forgotten, over its own socket.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm, stat, truncate } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { until } from "../base/retry.ts";
import { SOON, TestCouriers, untilHas } from "./testing/couriers.ts";

interface Letter {
  id: string;
  puppetdb: string;
  certname: string;
  because: string;
}

async function ask(socketPath: string, path: string, order?: object) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const method = order === undefined ? "GET" : "POST";
    const outgoing = request({ socketPath, path, method }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(order === undefined ? undefined : JSON.stringify(order));
  });
}

async function lettersOf(socket: string): Promise<Letter[]> {
  const { text } = await ask(socket, "/dead");
  return (JSON.parse(text) as { dead: Letter[] }).dead;
}

describe("couriers", { concurrency: true, timeout: 120_000 }, () => {
  test("try a refused command again with the PuppetDB that refused it alone, over a kill too", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const socket = join(couriers.folder, "own.sock");
    couriers.more = { statusSocket: socket };
    const toy = couriers.toy("s1.test");
    const good = toy.answer;
    toy.answer = ({ query }) =>
      query.get("certname") === "ok.test" ? good({} as never) : { status: 400, body: "no" };
    await couriers.start();
    const body = gzipSync('{"certname":"a.test","secret":1}');
    const query = "/pdb/cmd/v1?command=store_report&version=8&certname=a.test";
    const headers = { "content-encoding": "gzip" };
    assert.equal((await couriers.ask("s1.test", query, { body, headers })).status, 200);
    for (const name of ["b.test", "ok.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    const names = async () => (await lettersOf(socket)).map(({ certname }) => certname);
    const refused = async (wanted: string[]) => {
      const are = async () => JSON.stringify(await names()) === JSON.stringify(wanted);
      await until(`${wanted.join()} are refused`, are, SOON);
    };
    await refused(["a.test", "b.test"]);
    const [a, b] = await lettersOf(socket);
    assert.ok(a && b);
    assert.deepEqual([a.puppetdb, a.because], ["s1.test", "400: no"]);
    const shown = await ask(socket, `/dead/body?id=${a.id}&puppetdb=s1.test`);
    assert.deepEqual(shown, { status: 200, text: '{"certname":"a.test","secret":1}' });

    // Nothing is done with any where one isn't there.
    const order = { act: "retry", ids: [a.id], all: false };
    const wrong: [object, number][] = [
      [{ ...order, ids: [a.id, randomUUID()] }, 404],
      [{ ...order, ids: ["../../etc/passwd"] }, 400],
      [{ ...order, puppetdb: "s9.test" }, 404],
      [{ act: "burn", ids: [] }, 400],
    ];
    for (const [bad, status] of wrong)
      assert.equal((await ask(socket, "/dead", bad)).status, status);
    assert.deepEqual(await names(), ["a.test", "b.test"]);

    // Refused again, it is back; its body is whole.
    assert.equal((await ask(socket, "/dead", order)).status, 200);
    await refused(["a.test", "b.test"]);
    toy.writable = false;
    toy.answer = good;
    assert.equal((await ask(socket, "/dead", order)).status, 200);
    assert.equal(
      (await ask(socket, "/dead", { ...order, act: "delete", ids: [b.id] })).status,
      200,
    );
    assert.deepEqual(await names(), []);
    await couriers.kill("s1.test");
    // In the package systemd holds it.
    await rm(socket);
    await couriers.start();
    toy.writable = true;
    await untilHas(couriers, "s1.test", ["a.test", "ok.test"]);
    const again = toy.got.find(({ query: asked }) => asked.get("certname") === "a.test");
    assert.ok(again?.body.equals(body));
    assert.equal(again?.headers["content-encoding"], "gzip");
    assert.deepEqual(await names(), []);
  });

  test("say how many refused commands they have tried again when the disk takes no more", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const socket = join(couriers.folder, "own.sock");
    couriers.more = { statusSocket: socket, spoolBytesMax: 1000 };
    const toy = couriers.toy("s1.test");
    toy.answer = () => ({ status: 400, body: "no" });
    await couriers.start();
    const body = { padding: "x".repeat(300) };
    for (const [index, name] of ["a.test", "b.test"].entries()) {
      const taken = async () => (await couriers.command("s1.test", name, { body })) === 200;
      await until(`${name} is taken`, taken, SOON);
      const refused = async () => (await lettersOf(socket)).length === index + 1;
      await until(`${name} is refused`, refused, SOON);
    }
    toy.writable = false;
    const held = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as { puppetdbs: { fit: boolean }[] };
      return puppetdbs[0]?.fit === false;
    };
    await until("its PuppetDB takes nothing", held, SOON);
    const { status, text } = await ask(socket, "/dead", { act: "retry", ids: [], all: true });
    assert.equal(status, 500);
    assert.equal((JSON.parse(text) as { done: number }).done, 1);
    assert.deepEqual(
      (await lettersOf(socket)).map(({ certname }) => certname),
      ["b.test"],
    );
  });

  test("aren't held up by a command that its PuppetDB doesn't say anything of", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const toy = couriers.toy("s1.test");
    const good = toy.answer;
    toy.answer = (got) =>
      got.query.get("certname") === "odd.test"
        ? { status: 503, body: '{"uuid":"u","processed":false,"timed_out":true}' }
        : good(got);
    await couriers.start();
    for (const name of ["odd.test", "a.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    const waiting = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as {
        puppetdbs: { commands: number; oldestMs: number }[];
      };
      return puppetdbs.map(({ commands, oldestMs }) => ({ commands, oldestMs }));
    };
    // It waits apart: by its age the PuppetDB would count as one that is behind.
    const apart = async () => JSON.stringify(await waiting()) === '[{"commands":1,"oldestMs":0}]';
    await until("it is tried apart", apart, { ...SOON, withinMs: 60_000 });
    await untilHas(couriers, "s1.test", ["a.test"]);
    await couriers.kill("s1.test");
    toy.answer = good;
    await couriers.start();
    await untilHas(couriers, "s1.test", ["a.test", "odd.test"]);
    const none = async () => (await waiting()).every(({ commands }) => commands === 0);
    await until("none waits", none, SOON);
  });

  test("put aside a command that the disk has damaged, and go on", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const socket = join(couriers.folder, "own.sock");
    couriers.more = { statusSocket: socket };
    const toy = couriers.toy("s1.test");
    toy.writable = false;
    await couriers.start();
    for (const name of ["whole.test", "torn.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    const segment = join(couriers.folder, "s1.test/state/spool/0000000000000001.seg");
    await truncate(segment, (await stat(segment)).size - 1);
    toy.writable = true;
    const damaged = async () =>
      (await lettersOf(socket)).some(
        ({ certname, because }) => certname === "torn.test" && /can't be read/.test(because),
      );
    await until("it is a dead letter", damaged, { ...SOON, withinMs: 90_000 });
    await untilHas(couriers, "s1.test", ["whole.test"]);
    assert.equal(await couriers.command("s1.test", "next.test"), 200);
    await untilHas(couriers, "s1.test", ["next.test", "whole.test"]);
  });
});
