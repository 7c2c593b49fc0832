import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import type { CommandHead } from "./command.ts";
import { createPuppetDbClient } from "./puppetdb-client.ts";
import { ToyPuppetDb } from "./testing/toy-puppetdb.ts";
import { inTurn } from "./turns.ts";

const SOON = { withinMs: 10_000, everyMs: 5 };
const { signal } = new AbortController();

void test("inTurn has one command of a certname at a time at PuppetDB, whoever sends it", async () => {
  const toy = new ToyPuppetDb("s1");
  await toy.start();
  const client = inTurn(createPuppetDbClient({ id: "s1", url: `http://127.0.0.1:${toy.port}` }));
  try {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    toy.hold = async ({ query }) => (query.get("n") === "1" ? released : undefined);
    const query = (certname: string, n: number) => `certname=${certname}&n=${n}`;
    const send = async (certname: string, n: number) => {
      const head: CommandHead = {
        kind: "facts",
        certname,
        producerMs: 0,
        query: query(certname, n),
      };
      return client.send(head, Buffer.from("{}"), signal);
    };
    const first = send("a", 1);
    await until("the first is there", () => toy.arrived === 1, SOON);
    const path = `/pdb/cmd/v1?${query("a", 2)}`;
    const second = client.pass({ method: "POST", path, headers: {}, signal });
    const third = send("a", 3);
    await send("b", 4);
    assert.equal(toy.arrived, 2);
    release();
    (await second).resume();
    await Promise.all([first, third]);
    assert.deepEqual(
      toy.got.map((got) => got.query.get("n")),
      ["4", "1", "2", "3"],
    );
  } finally {
    client.close();
    await toy.stop();
  }
});

void test("inTurn passes what is no command on as it is, whatever its path", async () => {
  const toy = new ToyPuppetDb("s1");
  await toy.start();
  const client = inTurn(createPuppetDbClient({ id: "s1", url: `http://127.0.0.1:${toy.port}` }));
  try {
    for (const path of ["/pdb/query/v4/nodes?certname=a", "/x//?", "/pdb/cmd/v1"]) {
      const answer = await client.pass({ method: "GET", path, headers: {}, signal });
      assert.equal(answer.statusCode, 200);
      answer.resume();
    }
  } finally {
    client.close();
    await toy.stop();
  }
});
