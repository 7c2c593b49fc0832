// Reports for receivers, through whole couriers as processes.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { SOON, TestCouriers } from "./testing/couriers.ts";
import { ToyReceiver } from "./testing/receiver.ts";

const PATH = "/understudy/courier/v1/reports";
const YAML = { "content-type": "application/x-yaml" };

function report(host: string): string {
  return `--- !ruby/object:Puppet::Transaction::Report\nmetrics: {}\nhost: ${host}\nnumber: 1.0\n`;
}

async function make(options: { couriers: number; receivers: ToyReceiver[] }) {
  const couriers = await TestCouriers.make({ couriers: options.couriers, puppetdbs: 1 });
  const receivers = options.receivers.map(({ port }, index) => ({
    name: `r${index + 1}`,
    url: `http://127.0.0.1:${port}/reports`,
  }));
  couriers.more = { receivers };
  return couriers;
}

const upload = async (couriers: TestCouriers, id: string, host: string) =>
  (await couriers.ask(id, PATH, { body: report(host), headers: YAML })).status;

/** Waits until the receiver has got reports of these hosts, and says how often each. */
async function untilGot(receiver: ToyReceiver, hosts: string[]): Promise<void> {
  const bodies = hosts.map(report).toSorted();
  const has = () => bodies.every((body) => receiver.got.some((got) => got.body === body));
  await until(`a receiver has ${hosts.join()}`, has, SOON);
  assert.deepEqual(receiver.got.map(({ body }) => body).toSorted(), bodies);
}

async function untilAllSeen(couriers: TestCouriers, id: string): Promise<void> {
  const seen = async () => {
    const status = (await couriers.status(id)) as { couriers: { reachable: boolean }[] };
    return status.couriers.every(({ reachable }) => reachable);
  };
  await until(`${id} sees the others`, seen, SOON);
}

describe("reports for receivers", { concurrency: true, timeout: 120_000 }, () => {
  test("reach each of them as they came, one that was down for a while too", async () => {
    await using up = await ToyReceiver.make();
    await using down = await ToyReceiver.make();
    await up.start();
    await using couriers = await make({ couriers: 2, receivers: [up, down] });
    await couriers.start();
    assert.equal(await upload(couriers, "s1.test", "a.test"), 200);
    await untilGot(up, ["a.test"]);
    assert.equal(up.got[0]?.headers["content-type"], YAML["content-type"]);
    await couriers.kill("s1.test");
    await couriers.start("s1.test");
    assert.equal(await upload(couriers, "s1.test", "b.test"), 200);
    await down.start();
    await untilGot(down, ["a.test", "b.test"]);
    // How far it had come is written every second: "a.test" may have gone there twice.
    const hosts = () => new Set(up.got.map(({ body }) => body));
    await until("the other has both too", () => hosts().size === 2, SOON);
  });

  test("go out once, though several puppetservers upload the same one", async () => {
    await using receiver = await ToyReceiver.make();
    await receiver.start();
    await using couriers = await make({ couriers: 3, receivers: [receiver] });
    await couriers.start();
    for (const id of couriers.ids) await untilAllSeen(couriers, id);
    const everywhere = async (host: string) =>
      Promise.all(couriers.ids.map(async (id) => upload(couriers, id, host)));
    assert.deepEqual(await everywhere("a.test"), [200, 200, 200]);
    assert.equal(await upload(couriers, "s2.test", "b.test"), 200);
    assert.equal(await upload(couriers, "s3.test", "b.test"), 200);
    // What came later in time goes out later: when it is there, a second "a.test" would be too.
    assert.deepEqual(await everywhere("c.test"), [200, 200, 200]);
    await untilGot(receiver, ["a.test", "b.test", "c.test"]);
  });

  test("go out also when the courier that took them is gone for good", async () => {
    await using receiver = await ToyReceiver.make();
    await using couriers = await make({ couriers: 2, receivers: [receiver] });
    await couriers.start();
    await untilAllSeen(couriers, "s2.test");
    assert.equal(await upload(couriers, "s2.test", "a.test"), 200);
    await couriers.kill("s2.test");
    assert.equal(await upload(couriers, "s1.test", "a.test"), 200);
    await receiver.start();
    await untilGot(receiver, ["a.test"]);
  });

  test("that a receiver will never take are put aside, and the others go on", async () => {
    await using receiver = await ToyReceiver.make();
    receiver.answer = ({ body }) => (body.includes("poison") ? 422 : 200);
    await receiver.start();
    await using couriers = await make({ couriers: 1, receivers: [receiver] });
    await couriers.start();
    for (const host of ["poison.test", "a.test"]) await upload(couriers, "s1.test", host);
    await untilGot(receiver, ["a.test"]);
    const aside = async () => {
      const { receivers } = (await couriers.status("s1.test")) as {
        receivers: { deadLetters: number; reports: number }[];
      };
      return receivers[0]?.deadLetters === 1 && receivers[0].reports === 0;
    };
    await until("one is put aside", aside, SOON);
  });

  test("are refused where they can't be taken, and from whoever isn't allowed", async () => {
    await using receiver = await ToyReceiver.make();
    await using couriers = await make({ couriers: 1, receivers: [receiver] });
    await couriers.start();
    const body = report("a.test");
    const cases: [Parameters<TestCouriers["ask"]>[2], number][] = [
      [{ method: "GET" }, 405],
      [{ method: "POST" }, 400],
      [{ body, headers: { "content-encoding": "deflate" } }, 415],
      [{ body, as: "stranger.test" }, 403],
    ];
    for (const [options, status] of cases) {
      assert.equal((await couriers.ask("s1.test", PATH, options)).status, status);
    }
    await couriers.kill("s1.test");
    couriers.more = {};
    await couriers.start("s1.test");
    assert.equal(await upload(couriers, "s1.test", "a.test"), 503);
  });
});
