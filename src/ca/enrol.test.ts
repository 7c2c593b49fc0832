import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { run } from "../host/process.ts";
import { subjectAltName, type Extension } from "../x509/extensions.ts";
import type { Etcd } from "../etcd/types.ts";
import { generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { parseInventory } from "./inventory.ts";
import type { PolicyProgram } from "./policy-program.ts";
import { encodeValue, requestKey } from "./record.ts";
import { renderSerialFile } from "./serial.ts";
import { WAITING_MAX, WAITING_OF_ONE_MAX } from "./submit.ts";
import { adminOf, agentRequest, startFleet, type Fleet } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

void test("routes let an agent enrol on one server and collect its certificate on another", async () => {
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2")];
  one.run();
  two.run();
  const ca = await one.fetch("GET", "/puppet-ca/v1/certificate/ca");
  assert.equal(ca.status, 200);
  const bundle = await ca.text();
  assert.equal(bundle, await (await two.fetch("GET", "/puppet-ca/v1/certificate/ca")).text());

  const pem = await agentRequest("a1.lab.test");
  const put = await one.fetch("PUT", "/puppet-ca/v1/certificate_request/a1.lab.test", {
    body: pem,
  });
  assert.equal(put.status, 200);
  assert.equal(await put.text(), "");
  assert.equal((await two.fetch("GET", "/puppet-ca/v1/certificate/a1.lab.test")).status, 404);
  const waiting = await two.fetch("GET", "/puppet-ca/v1/certificate_request/a1.lab.test");
  assert.equal(await waiting.text(), pem);

  const outcome = await two.ca.sign(["a1.lab.test"]);
  assert.deepEqual(
    outcome.results.map(({ ok, because }) => ({ ok, because })),
    [{ ok: true, because: "" }],
  );
  const got = await one.fetch("GET", "/puppet-ca/v1/certificate/a1.lab.test");
  assert.equal(got.status, 200);
  const certificate = await got.text();
  assert.equal(certificate, await readFile(join(two.cadir, "signed/a1.lab.test.pem"), "utf8"));
  const shown = await run(["openssl", "x509", "-noout", "-text"], { input: certificate });
  assert.match(shown, /Subject: CN = a1\.lab\.test/);
  assert.match(shown, /DNS:a1\.lab\.test/);

  const admin = await adminOf(one);
  const listed = await one.fetch("GET", "/puppet-ca/v1/certificate_statuses/any", { as: admin });
  assert.equal(listed.status, 200);
});

void test("a certificate that replaced another is collected at once from any server", async () => {
  const one = await fleet.server("s1");
  const deaf = { ...fleet.cluster.client(), watch: () => undefined };
  const two = await fleet.server("s2", { etcd: deaf });
  fleet.settings.autosign = true;
  fleet.settings.allowDuplicateCerts = true;
  const collect = async () => (await two.fetch("GET", "/puppet-ca/v1/certificate/a.test")).text();
  const pem = await agentRequest("a.test");
  await one.ca.submit({ pem, key: "a.test" });
  const former = await collect();
  const key = generateEcKey();
  await one.ca.submit({ pem: createRequest({ commonName: "a.test", key }), key: "a.test" });
  assert.notEqual(await collect(), former);
});

void test("submit doesn't sign a name that somebody else was given while its program decided", async () => {
  const name = "while.lab.test";
  fleet.settings.autosign = join(fleet.folder, "policy");
  await writeFile(fleet.settings.autosign, "", { mode: 0o755 });
  let meanwhile: (() => Promise<unknown>) | undefined;
  const program: PolicyProgram = async () => {
    const act = meanwhile;
    meanwhile = undefined;
    await act?.();
    return { sign: true, warnings: [] };
  };
  const one = await fleet.server("s1", { program });
  const other = createRequest({ commonName: name, key: generateEcKey() });
  meanwhile = () => one.ca.submit({ pem: other, key: name });
  const { outcome } = await one.ca.submit({ pem: await agentRequest(name), key: name });
  assert.equal(outcome, "refused");
  const { certificates } = one.ca.show(name);
  assert.deepEqual(
    certificates.map(({ key }) => key),
    ["EC prime256v1"],
  );
});

void test("submit gives nothing to a sender that has gone while its program decided", async () => {
  const name = "gone.lab.test";
  fleet.settings.autosign = join(fleet.folder, "policy");
  await writeFile(fleet.settings.autosign, "", { mode: 0o755 });
  const sender = new AbortController();
  const program: PolicyProgram = async () => {
    sender.abort();
    return { sign: true, warnings: [] };
  };
  const one = await fleet.server("s1", { program });
  const { signal } = sender;
  const answer = await one.ca.submit({ pem: await agentRequest(name), key: name, signal });
  assert.deepEqual(answer, { outcome: "refused", because: "its sender has gone" });
  assert.deepEqual(one.ca.show(name).certificates, []);
});

void test("submit lets all else have its turn between two requests", async () => {
  const one = await fleet.server("s1");
  const pem = createRequest({ commonName: "other.lab.test", key: generateEcKey() });
  let turns = 0;
  let counts = true;
  const count = () => {
    turns += 1;
    if (counts) setImmediate(count);
  };
  setImmediate(count);
  const wishes = Array.from({ length: 50 }, (_, index) => ({ pem, key: `n${index}.lab.test` }));
  const answers = await Promise.all(wishes.map((wish) => one.ca.submit(wish)));
  counts = false;
  assert.ok(answers.every(({ outcome }) => outcome === "refused"));
  assert.ok(turns >= 49, `${turns} turns`);
});

void test("submit takes one of eight requests for one name, whichever server they reach", async () => {
  const servers = [await fleet.server("s1"), await fleet.server("s2")];
  for (const server of servers) server.run();
  for (const autosign of [false, true]) {
    fleet.settings.autosign = autosign;
    const name = `eight-${autosign}.lab.test`;
    const body = await agentRequest(name);
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, index) => {
        const server = servers[index % 2];
        return server?.fetch("PUT", `/puppet-ca/v1/certificate_request/${name}`, { body });
      }),
    );
    const codes = answers.map((answer) => answer?.status ?? 0).sort((a, b) => a - b);
    assert.deepEqual(codes, [200, 400, 400, 400, 400, 400, 400, 400]);
    for (const answer of answers) {
      if (answer?.status !== 400) continue;
      const state = autosign ? "signed" : "requested";
      const text = `${name} already has a ${state} certificate; ignoring certificate request`;
      assert.equal(await answer.text(), text);
    }
  }
});

void test("sign lets one of two servers win, and tells the other that there is no request", async () => {
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2")];
  one.run();
  two.run();
  const admin = await adminOf(one);
  for (let round = 0; round < 5; round += 1) {
    const name = `race-${round}.lab.test`;
    await one.ca.submit({ pem: await agentRequest(name), key: name });
    const body = JSON.stringify({ desired_state: "signed" });
    const path = `/puppet-ca/v1/certificate_status/${name}`;
    const answers = await Promise.all(
      [one, two, one, two].map((server) => server.fetch("PUT", path, { body, as: admin })),
    );
    const codes = answers.map(({ status }) => status).sort((a, b) => a - b);
    assert.deepEqual(codes, [204, 409, 409, 409]);
    assert.equal(one.ca.list("signed").filter((status) => status.name === name).length, 1);
  }
});

void test("two servers that sign at once never give a serial twice", async () => {
  const servers = [await fleet.server("s1"), await fleet.server("s2")];
  for (const server of servers) server.run();
  fleet.settings.autosign = true;
  const names = Array.from({ length: 60 }, (_, index) => `many-${index}.lab.test`);
  await Promise.all(
    names.map(async (name, index) => {
      const submitted = await servers[index % 2]?.ca.submit({
        pem: await agentRequest(name),
        key: name,
      });
      assert.equal(submitted?.outcome, "signed");
    }),
  );
  for (const { ca, cadir } of servers) {
    await until("all names", () => ca.list("signed").length === 60, { withinMs: 5000 });
    const serials = new Set(ca.list("signed").map((status) => status.serial_number));
    assert.equal(serials.size, 60);
    await ca.repair();
    const { lines, odd } = parseInventory(await readFile(join(cadir, "inventory.txt"), "utf8"));
    assert.deepEqual(odd, []);
    assert.deepEqual(new Set(lines.map(({ serial }) => Number.parseInt(serial, 16))), serials);
    assert.equal(lines.length, 60);
  }
});

void test("submit signs by the allowlist, and keeps what policy refuses waiting", async () => {
  const one = await fleet.server("s1");
  const allowlist = join(fleet.folder, "autosign.conf");
  await writeFile(allowlist, "*.auto.test\ns2.lab.test\n");
  fleet.settings.autosign = allowlist;
  const put = async (name: string, extensions: Extension[] = []) => {
    const body = await agentRequest(name, extensions);
    return one.fetch("PUT", `/puppet-ca/v1/certificate_request/${name}`, { body });
  };
  const stateOf = (name: string) => one.ca.list().find((status) => status.name === name)?.state;

  assert.equal((await put("a.auto.test")).status, 200);
  assert.equal(stateOf("a.auto.test"), "signed");
  assert.equal((await put("b.other.test")).status, 200);
  assert.equal(stateOf("b.other.test"), "requested");
  // A member's own name is never signed unasked.
  assert.equal((await put("s2.lab.test")).status, 200);
  assert.equal(stateOf("s2.lab.test"), "requested");

  const refused = await put("c.auto.test", [subjectAltName([{ type: "DNS", value: "web" }])]);
  assert.equal(refused.status, 400);
  assert.match(await refused.text(), /^CSR 'c\.auto\.test' contains extra subject alternative/);
  assert.equal(stateOf("c.auto.test"), "requested");
  const outcome = await one.ca.sign(["c.auto.test", "s2.lab.test", "nobody.lab.test"]);
  assert.deepEqual(
    outcome.results.map(({ why }) => why),
    ["refused", "refused", "no-request"],
  );
  const short = await one.ca.sign(["b.other.test"], { ttlSeconds: 60 });
  assert.equal(short.results[0]?.ok, true);
});

void test("submit asks the record before it refuses a name that another server has just cleaned", async () => {
  const etcd: Etcd = { ...fleet.cluster.client(), watch: () => undefined };
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2", { etcd })];
  const pem = await agentRequest("a.test");
  const send = async () => (await two.ca.submit({ pem, key: "a.test" })).outcome;
  fleet.settings.autosign = true;
  assert.equal(await send(), "signed");
  assert.equal(await send(), "refused");
  await one.ca.clean(["a.test"]);
  assert.equal(await send(), "signed");
});

void test("submit lets a bounded number of requests wait, and says so to the next", async () => {
  const one = await fleet.server("s1");
  const value = encodeValue({ id: "x", pem: "x", at: "2026-11-20T10:00:00.000Z" });
  const keys = Array.from({ length: WAITING_MAX - 1 }, (_, index) => requestKey(`n${index}.test`));
  for (let at = 0; at < keys.length; at += 100) {
    const then = keys.slice(at, at + 100).map((key) => ({ put: key, value }));
    await one.etcd.transact({ when: [], then });
  }
  const two = await fleet.server("s2");
  const send = async (name: string) =>
    two.fetch("PUT", `/puppet-ca/v1/certificate_request/${name}`, {
      body: await agentRequest(name),
    });
  assert.equal((await send("last.test")).status, 200);
  const refused = await send("toomany.test");
  assert.equal(refused.status, 400);
  assert.match(await refused.text(), /^5000 requests wait already/);
  await two.ca.forget("last.test", "request");
  assert.equal((await send("toomany.test")).status, 200);
});

void test("submit lets fewer of one source wait, so that others find room", async () => {
  const one = await fleet.server("s1");
  const from = (source: string) => (index: number) => ({
    put: requestKey(`${source}-${index}.test`),
    value: encodeValue({ id: "x", pem: "x", at: "2026-11-20T10:00:00.000Z", source }),
  });
  const all = [
    ...Array.from({ length: WAITING_OF_ONE_MAX - 1 }, (_, index) => from("10.0.0.1")(index)),
    ...Array.from({ length: WAITING_OF_ONE_MAX }, (_, index) =>
      from(`2001:db8::${index.toString(16)}`)(index),
    ),
    ...Array.from({ length: 50 }, (_, index) => from("10.0.0.2")(index)),
  ];
  for (let at = 0; at < all.length; at += 100) {
    await one.etcd.transact({ when: [], then: all.slice(at, at + 100) });
  }
  const two = await fleet.server("s2");
  const send = async (name: string, source: string) => {
    const pem = await agentRequest(name);
    const submitted = await two.ca.submit({ pem, key: name, source });
    return submitted.outcome === "refused" ? submitted.because : submitted.outcome;
  };
  assert.equal(await send("last.test", "10.0.0.1"), "waiting");
  assert.match(await send("more.test", "10.0.0.1"), /^1000 requests from 10\.0\.0\.1 wait already/);
  assert.equal(await send("other.test", "10.0.0.2"), "waiting");
  assert.match(await send("six.test", "2001:db8::1:1"), /^1000 requests from 2001:db8::\/64 wait/);
  assert.equal(await send("beside.test", "2001:db8:0:1::1"), "waiting");
});

void test("stock tools are given a new block of serials well before they use one up", async () => {
  const one = await fleet.server("s1");
  await one.ca.repair();
  const file = join(one.cadir, "serial");
  const read = async () => Number.parseInt(await readFile(file, "utf8"), 16);
  const from = await read();
  await writeFile(file, renderSerialFile(from + 31));
  await one.ca.repair();
  assert.equal(await read(), from + 31);
  await writeFile(file, renderSerialFile(from + 40));
  await one.ca.repair();
  const next = await read();
  assert.ok(next >= from + 64, "another block's");
  await one.ca.repair();
  assert.equal(await read(), next);
});

void test("what came while memory was stale reaches the directory, also when a change filled it", async () => {
  const etcd = fleet.cluster.client();
  let lose = () => {};
  let deaf = false;
  const late: Etcd = {
    ...etcd,
    watch: (_, options) => {
      lose = () => options.onLost("compacted", true);
    },
    // The loop can't read for a moment; the change comes through.
    get: async (key, options) => {
      if (deaf && options?.signal !== undefined) throw new Error("not now");
      return etcd.get(key, options);
    },
  };
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2", { etcd: late })];
  two.run();
  const has = (name: string) => readFile(join(two.cadir, name)).catch(() => undefined);
  await until("the directory", () => has("serial"), { withinMs: 5000, everyMs: 5 });
  fleet.settings.autosign = true;
  await one.ca.submit({ pem: await agentRequest("gap.test"), key: "gap.test" });
  deaf = true;
  lose();
  await two.ca.submit({ pem: await agentRequest("next.test"), key: "next.test" });
  deaf = false;
  await until("the file", () => has("signed/gap.test.pem"), { withinMs: 5000, everyMs: 5 });
});

void test("sign refuses on a server whose clock is off; what autosign lets through another one signs", async () => {
  fleet.settings.autosign = true;
  const one = await fleet.server("s1", { clockOffsetMs: () => -61_000 });
  assert.equal((await one.fetch("GET", "/health/ca")).status, 200);
  assert.equal((await one.fetch("GET", "/health/ca/sign")).status, 503);
  const submitted = await one.ca.submit({ pem: await agentRequest("a.test"), key: "a.test" });
  assert.equal(submitted.outcome, "waiting");
  await assert.rejects(one.ca.sign(["a.test"]), { code: "ca.clock-off" });
  // Not what autosign doesn't let through.
  fleet.settings.autosign = false;
  await one.ca.submit({ pem: await agentRequest("b.test"), key: "b.test" });
  const two = await fleet.server("s2");
  two.run();
  const signed = () => two.ca.list("signed").map(({ name }) => name);
  await until("another server", () => signed().length > 0, { withinMs: 30_000, everyMs: 20 });
  assert.deepEqual(signed(), ["a.test"]);
  assert.deepEqual(
    two.ca.list("requested").map(({ name }) => name),
    ["b.test"],
  );
});
