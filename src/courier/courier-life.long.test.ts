// Couriers as processes over a longer life: a disk that is lost, a PuppetDB that is new, a CRL that
// changes. Apart from courier.long.test.ts, since each test process has so many ports and no more.

import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { SOON, TestCouriers, untilFit, untilHas } from "./testing/couriers.ts";

describe("couriers", { concurrency: true, timeout: 240_000 }, () => {
  test("begin anew where their disk was lost, and lose neither what they took before nor after", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    const toy = couriers.toy("s2.test");
    toy.writable = false;
    await couriers.start();
    for (const name of ["a.test", "b.test"]) {
      const reaches = async () => {
        const { couriers: others } = (await couriers.status("s1.test")) as {
          couriers: { reachable: boolean }[];
        };
        return others.every(({ reachable }) => reachable);
      };
      await until("the other is seen", reaches, SOON);
      // Both are the first of their spool.
      assert.equal(await couriers.command("s1.test", name), 200);
      await couriers.kill("s1.test");
      await rm(join(couriers.folder, "s1.test/state"), { recursive: true });
      if (name === "a.test") await couriers.start("s1.test");
    }
    toy.writable = true;
    await untilHas(couriers, "s2.test", ["a.test", "b.test"]);
  });

  test("lose nothing that another courier has, nor what comes, where the disk has damaged their spool", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    const toy = couriers.toy("s2.test");
    toy.writable = false;
    await couriers.start();
    const reaches = async () => {
      const { couriers: others } = (await couriers.status("s1.test")) as {
        couriers: { reachable: boolean }[];
      };
      return others.every(({ reachable }) => reachable);
    };
    await until("the other is seen", reaches, SOON);
    for (const name of ["a.test", "b.test", "c.test"]) {
      assert.equal(await couriers.command("s1.test", name), 200);
    }
    await untilHas(couriers, "s1.test", ["a.test", "b.test", "c.test"]);
    await couriers.kill("s1.test", "SIGTERM");
    const spool = join(couriers.folder, "s1.test/state/spool");
    const [name = ""] = await readdir(spool);
    const bytes = await readFile(join(spool, name));
    bytes[bytes.indexOf("b.test")] = 0;
    await writeFile(join(spool, name), bytes);
    await couriers.start("s1.test");
    await until("the other is seen", reaches, SOON);
    for (const later of ["d.test", "e.test"]) {
      assert.equal(await couriers.command("s1.test", later), 200);
    }
    const all = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    await untilHas(couriers, "s1.test", all);
    toy.writable = true;
    await untilHas(couriers, "s2.test", all);
    assert.match(couriers.output.join(""), /has damaged what waits there/);
  });

  test("send a PuppetDB that fills commands, and no queries until it has been compared, whatever became of the other", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    couriers.more = { filling: ["s1.test"] };
    couriers.toy("s2.test").compares = false;
    await couriers.start();
    await untilFit(couriers, "s1.test");
    const ask = async () => couriers.ask("s1.test", "/pdb/query/v4/nodes");
    assert.match((await ask()).text, /"by":"s2.test"/);
    assert.equal(await couriers.command("s1.test", "a.test"), 200);
    await untilHas(couriers, "s1.test", ["a.test"]);
    await couriers.toy("s2.test").stop();
    const none = async () => {
      const { status, text } = await ask();
      return status === 503 && /s1\.test: it is filling/.test(text);
    };
    await until("none is fit", none, SOON);
    couriers.toy("s2.test").compares = true;
    await couriers.toy("s2.test").start();
    const isFit = async () => {
      const { puppetdbs } = (await couriers.status("s2.test")) as {
        puppetdbs: { id: string; fit: boolean }[];
      };
      return puppetdbs.some(({ id, fit }) => id === "s1.test" && fit);
    };
    await until("s1.test is fit", isFit, SOON);
  });

  test("go on answering when another PuppetDB is added, which is down still", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    await couriers.toy("s2.test").stop();
    couriers.more = { puppetdbs: ["s1.test"] };
    await couriers.start();
    for (const id of couriers.ids) await untilFit(couriers, id);
    couriers.more = { puppetdbs: ["s1.test", "s2.test"], filling: ["s2.test"] };
    for (const id of couriers.ids) await couriers.kill(id, "SIGTERM");
    await couriers.start();
    // One that nobody finds fit in ten seconds gets 503.
    const answers = couriers.ids.map(async (id) => couriers.ask(id, "/pdb/query/v4/nodes"));
    for (const { status, text } of await Promise.all(answers)) assert.equal(status, 200, text);
  });

  test("let a query wait for a PuppetDB that is fit in a moment", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    const toy = couriers.toy("s1.test");
    toy.writable = false;
    await couriers.start();
    const asked = couriers.ask("s1.test", "/pdb/query/v4/nodes");
    const answered = asked.then(() => "answered");
    const waits = new Promise((resolve) => void setTimeout(resolve, 1000, "waits"));
    assert.equal(await Promise.race([answered, waits]), "waits");
    toy.writable = true;
    assert.equal((await asked).status, 200);
  });

  test("take a newer CRL without a restart, for kept connections too", async () => {
    await using couriers = await TestCouriers.make({ couriers: 1, puppetdbs: 1 });
    await couriers.start();
    await untilFit(couriers, "s1.test");
    const identity = couriers.certificate("s1.test");
    const ask = async () => couriers.ask("s1.test", "/pdb/query/v4/nodes", { identity });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const keep = async () => couriers.ask("s1.test", "/pdb/query/v4/nodes", { identity, agent });
    for (const asks of [ask, keep]) assert.equal((await asks()).status, 200);
    await couriers.writeCrl("s1.test", [parseCertificate(identity.cert).serialHex]);
    await until("it is refused", async () => (await ask()).status === 0, SOON);
    // At most one answer more.
    await keep();
    assert.equal((await keep()).status, 0);
    agent.destroy();
    assert.equal((await couriers.ask("s1.test", "/pdb/query/v4/nodes")).status, 200);
  });

  test("send queries where they are told to, once, and leave them where a failure moves them", async () => {
    await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
    couriers.more = { use: { id: "s1.test", at: "at first" } };
    await couriers.start();
    for (const id of couriers.ids) await untilFit(couriers, id);
    const goTo = async (id: string) => {
      const by = new RegExp(`"by":"${id}"`);
      for (const courier of couriers.ids) {
        const there = async () =>
          by.test((await couriers.ask(courier, "/pdb/query/v4/nodes")).text);
        await until(`queries of ${courier} go to ${id}`, there, SOON);
      }
    };
    const restart = async () => {
      for (const id of couriers.ids) await couriers.kill(id);
      await couriers.start();
    };
    await goTo("s1.test");
    couriers.more = { use: { id: "s2.test", at: "first" } };
    await restart();
    await goTo("s2.test");
    await couriers.toy("s2.test").stop();
    await goTo("s1.test");
    await couriers.toy("s2.test").start();
    const bothFit = async () => {
      const { puppetdbs } = (await couriers.status("s1.test")) as { puppetdbs: { fit: boolean }[] };
      return puppetdbs.every(({ fit }) => fit);
    };
    await until("both are fit", bothFit, SOON);
    await goTo("s1.test");
    await restart();
    await until("both are fit", bothFit, SOON);
    await goTo("s1.test");
    couriers.more = { use: { id: "s2.test", at: "second" } };
    await restart();
    await goTo("s2.test");
  });
});
