import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import type { Etcd } from "../etcd/types.ts";
import { openJournal, type Journal } from "./journal.ts";
import { CA_PREFIX } from "./record.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

const QUICK = { patience: { startMs: 500, readMs: 300, commitMs: 1000 } };

let fleet: Fleet;
before(async () => {
  fleet = await startFleet({ members: 3 });
});
after(() => fleet.close());

/** The record as a daemon's journal would have it by now. */
async function journalOf(etcd: Etcd): Promise<Journal> {
  const journal = await openJournal(join(fleet.folder, "journal"));
  const { kvs, revision } = await etcd.range(CA_PREFIX);
  await journal.rewrite(
    kvs.map(({ key, value, modRevision }) => ({ key, value, revision: modRevision })),
    revision,
  );
  return journal;
}

const PATH = "/puppet-ca/v1";

async function expectReads(server: TestServer): Promise<void> {
  for (const path of ["certificate/ca", "certificate/a.test", "certificate_revocation_list/ca"]) {
    const answer = await server.fetch("GET", `${PATH}/${path}`);
    assert.equal(answer.status, 200, path);
    assert.match(await answer.text(), /^-----BEGIN /);
  }
  const request = await server.fetch("GET", `${PATH}/certificate_request/waits.test`);
  assert.equal(request.status, 200);
  assert.equal((await server.fetch("GET", `${PATH}/certificate/none.test`)).status, 404);
  assert.equal((await server.fetch("GET", "/health/ca")).status, 200);
  assert.equal(await (await server.fetch("GET", "/status/v1/simple/ca")).text(), "running");
}

void test("without quorum reads go on, from memory and from disk, and changes get a clear refusal", async () => {
  const one = await fleet.server("s1", QUICK);
  one.run();
  await one.ca.repair();
  await one.ca.submit({ pem: await agentRequest("waits.test"), key: "waits.test" });
  fleet.settings.autosign = true;
  await one.ca.submit({ pem: await agentRequest("a.test"), key: "a.test" });
  await one.ca.submit({ pem: await agentRequest("b.test"), key: "b.test" });
  await one.ca.revoke({ names: ["b.test"] });
  const admin = await adminOf(one);
  const number = one.ca.currentCrl()?.number;
  const journal = await journalOf(one.etcd);

  const [, second, third] = fleet.cluster.members;
  await Promise.all([second?.kill(), third?.kill()]);
  await expectReads(one);
  const put = await one.fetch("PUT", `${PATH}/certificate_request/c.test`, {
    body: await agentRequest("c.test"),
  });
  assert.equal(put.status, 503);
  assert.equal(put.headers.get("retry-after"), null);
  assert.match(await put.text(), /etcd has no quorum/);
  await assert.rejects(one.ca.sign(["waits.test"]), (error) => isFault(error, "etcd"));

  // A restart with nothing but this server's own disk: the journal, then the directory alone.
  const cadir = one.cadir;
  for (const copy of [journal, undefined]) {
    const changes = { ...QUICK, cadir, ...(copy && { copy }) };
    const again = await fleet.server("s1", changes);
    await expectReads(again);
    assert.equal(again.ca.currentCrl()?.number, number);
    const states = await again.fetch("GET", `${PATH}/certificate_statuses/x`, { as: admin });
    assert.equal(states.status, 200);
    const listed = (await states.json()) as unknown[];
    assert.equal(listed.length, copy === undefined ? 0 : 4);
    if (copy === undefined) {
      second?.start();
      await until("etcd again", () => again.etcd.get("x").then(() => true), { withinMs: 15_000 });
      // What was refused without quorum may have been done with it; only then nothing waits.
      const outcome = await again.ca.sign(["waits.test"]);
      again.run();
      await until("the record", () => again.ca.list("signed").length >= 3, { withinMs: 15_000 });
      const signed = again.ca.list("signed").map(({ name }) => name);
      assert.ok(outcome.results[0]?.ok === true || signed.includes("waits.test"));
    }
    await again.stop();
  }
  await journal.close();
});

void test("a change goes through while a member of etcd, the leader too, dies under it", async () => {
  // The test before left the third one down.
  fleet.cluster.members[2]?.start();
  await until("a leader", () => fleet.cluster.leader(), { withinMs: 15_000 });
  const etcd = fleet.cluster.client();
  await fleet.reset();
  const one = await fleet.server("s1", { etcd });
  one.run();
  fleet.settings.autosign = true;
  const leader = await fleet.cluster.leader();
  const names = Array.from({ length: 20 }, (_, index) => `n${index}.test`);
  const enrolments = names.map(async (name, index) => {
    if (index === 10) await leader.kill();
    return one.ca.submit({ pem: await agentRequest(name), key: name });
  });
  const outcomes = await Promise.all(enrolments);
  assert.ok(outcomes.every(({ outcome }) => outcome === "signed"));
  const serials = new Set(one.ca.list("signed").map((status) => status.serial_number));
  assert.equal(serials.size, 20);
});
