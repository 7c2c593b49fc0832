// The sync in whole couriers: what a PuppetDB that lacks something is brought, and that it answers
// nothing before, whatever breaks off or dies meanwhile.

import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { z } from "zod";
import { until } from "../../base/retry.ts";
import { PuppetdbDiff, type SyncStatus } from "../../cluster/sync-status.ts";
import { isoTime, wallMs } from "../../host/clock.ts";
import { readBody } from "../../base/read-body.ts";
import { ToyNodes } from "../testing/toy-nodes.ts";
import { SOON, TestCouriers, untilFit } from "../testing/couriers.ts";

const FULL = "s1.test";
const EMPTY = "s2.test";
const NODES = 30;
const HOUR_MS = 3_600_000;

interface Said {
  sync?: SyncStatus;
  puppetdbs: { id: string; fit: boolean; because: string }[];
}

/** Two couriers whose first PuppetDB has facts, a catalog and a report of each node. */
async function makePair(): Promise<TestCouriers> {
  const couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
  const { nodes } = couriers.toy(FULL);
  for (let index = 0; index < NODES; index += 1) {
    const at = isoTime(wallMs() - HOUR_MS - index);
    const body = JSON.stringify({ certname: `n${index}.test`, producer_timestamp: at });
    for (const kind of ["replace_facts", "replace_catalog", "store_report"]) nodes.take(kind, body);
  }
  return couriers;
}

async function said(couriers: TestCouriers, by: string): Promise<Said> {
  return (await couriers.status(by)) as unknown as Said;
}

async function untilSays(couriers: TestCouriers, by: string, id: string, what: RegExp) {
  const says = async () => {
    const { puppetdbs } = await said(couriers, by);
    return puppetdbs.some((each) => each.id === id && what.test(each.because));
  };
  await until(`${by} says ${what} of ${id}`, says, SOON);
}

async function untilSame(couriers: TestCouriers): Promise<void> {
  const same = () => {
    const [had, has] = [FULL, EMPTY].map((id) => couriers.toy(id).nodes.list().join());
    return had === has;
  };
  await until("both have the same", same, SOON);
}

async function untilLevel(couriers: TestCouriers): Promise<void> {
  for (const by of [FULL, EMPTY]) {
    const level = async () => {
      const { sync, puppetdbs } = await said(couriers, by);
      return sync?.running === undefined && sync?.last?.ok && puppetdbs.every(({ fit }) => fit);
    };
    await until(`${by} finds all level`, level, SOON);
  }
}

const Asked = z.object({ id: z.string() });

async function askSocket(socketPath: string, method: string, path: string): Promise<unknown> {
  const outgoing = request({ socketPath, method, path }).end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  const text = (await readBody(incoming, 1_000_000)).toString("utf8");
  assert.equal(incoming.statusCode, 200, text);
  return JSON.parse(text);
}

describe("the sync", { concurrency: true, timeout: 180_000 }, () => {
  test("brings what is missing once, while queries go to the other", async () => {
    await using couriers = await makePair();
    await couriers.start();
    await untilLevel(couriers);
    await untilSame(couriers);
    const sent = couriers.toy(EMPTY).got.length;
    assert.equal(sent, 3 * NODES);
    assert.equal(couriers.toy(FULL).got.length, 0);
    assert.match((await couriers.ask(EMPTY, "/pdb/query/v4/nodes")).text, /"by":"s1.test"/);
    // One that was down is compared anew, and moves nothing.
    await couriers.toy(EMPTY).stop();
    await untilSays(couriers, EMPTY, EMPTY, /doesn't answer/);
    await couriers.toy(EMPTY).start();
    await untilLevel(couriers);
    assert.deepEqual((await said(couriers, EMPTY)).sync?.last?.moved, {});
    assert.equal(couriers.toy(EMPTY).got.length, sent);
  });

  test("lets a PuppetDB that is half full answer nothing, though its courier is killed and the other is gone", async () => {
    await using couriers = await makePair();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const toy = couriers.toy(EMPTY);
    toy.hold = async () => (toy.arrived > NODES ? released : undefined);
    await couriers.start();
    const half = () => toy.arrived > NODES;
    await until("half is brought", half, SOON);
    await couriers.kill(EMPTY);
    await couriers.toy(FULL).stop();
    await couriers.start(EMPTY);
    const { status, text } = await couriers.ask(EMPTY, "/pdb/query/v4/nodes");
    assert.equal(status, 503);
    assert.match(text, /s2\.test: it lacks \d+ nodes that another PuppetDB has/);
    release();
    await couriers.toy(FULL).start();
    await untilLevel(couriers);
    await untilSame(couriers);
  });

  test("brings a wiped PuppetDB at once also what it had stored a moment before", async () => {
    await using couriers = await makePair();
    await couriers.start();
    await untilLevel(couriers);
    for (const name of ["young.test", "younger.test"]) {
      assert.equal(await couriers.command(FULL, name), 200);
    }
    await untilSame(couriers);
    const toy = couriers.toy(EMPTY);
    await toy.stop();
    toy.nodes = new ToyNodes();
    await untilSays(couriers, EMPTY, EMPTY, /doesn't answer/);
    await toy.start();
    await untilSame(couriers);
  });

  test("takes no half of an answer for all of it, and goes on when it is whole", async () => {
    await using couriers = await makePair();
    couriers.toy(FULL).compares = "half";
    await couriers.start();
    const failed = async () => (await said(couriers, EMPTY)).sync?.last?.ok === false;
    await until("a round fails", failed, SOON);
    assert.deepEqual(couriers.toy(EMPTY).got, []);
    await untilSays(couriers, EMPTY, EMPTY, /isn't compared/);
    couriers.toy(FULL).compares = true;
    await untilLevel(couriers);
    await untilSame(couriers);
  });

  test("asks for nothing after couriers began anew beside the same PuppetDBs", async () => {
    await using couriers = await makePair();
    await couriers.start();
    await untilLevel(couriers);
    for (const id of [FULL, EMPTY]) {
      await couriers.kill(id);
      couriers.toy(id).compares = false;
    }
    await couriers.start();
    for (const id of [FULL, EMPTY]) await untilFit(couriers, id);
  });

  test("does what its courier's own socket asks: a round, what differs, an administrator's word", async () => {
    await using couriers = await makePair();
    const socketPath = join(couriers.folder, "status.sock");
    couriers.toy(FULL).compares = false;
    await couriers.start(FULL);
    couriers.more = { statusSocket: socketPath };
    await couriers.start(EMPTY);
    const ask = async (method: string, path: string) => askSocket(socketPath, method, path);
    const diff = async () => PuppetdbDiff.parse(await ask("GET", "/diff"));
    const unread = async () => (await diff()).missing.some(({ id }) => id === FULL);
    await until("the other can't be read", unread, SOON);
    await untilSays(couriers, EMPTY, EMPTY, /isn't compared/);
    await ask("POST", "/accept");
    const isFit = async () => {
      const { puppetdbs } = await said(couriers, EMPTY);
      return puppetdbs.some((each) => each.id === EMPTY && each.fit);
    };
    await until("it is taken as it is", isFit, SOON);
    couriers.toy(FULL).compares = true;
    const asked = async () => Asked.safeParse(await ask("POST", "/sync")).data;
    const { id } = await until("a round is taken", asked, SOON);
    const ended = async () => (await said(couriers, EMPTY)).sync?.last?.id === id;
    await until("it has ended", ended, SOON);
    const { last } = (await said(couriers, EMPTY)).sync ?? {};
    assert.deepEqual([last?.because, last?.ok, last?.others.length], ["", true, 1]);
    const { compared, total } = await diff();
    assert.deepEqual([compared, total], [[FULL, EMPTY], 0]);
    await untilSame(couriers);
  });

  test("gives up on what PuppetDB refuses, and says so", async () => {
    await using couriers = await makePair();
    const toy = couriers.toy(EMPTY);
    const taken = toy.answer;
    toy.answer = (got) => {
      const isOdd = got.query.get("certname") === "n7.test";
      return isOdd ? { status: 400, body: '{"error":"odd"}' } : taken(got);
    };
    await couriers.start();
    await untilLevel(couriers);
    const { last } = (await said(couriers, EMPTY)).sync ?? {};
    assert.equal(last?.left, 3);
    assert.match(last?.leftAlone[0]?.because ?? "", /^PuppetDB refuses it: 400/);
  });
});
