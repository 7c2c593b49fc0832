import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { run } from "../host/process.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parseCrls } from "../x509/crl.ts";
import type { PublishedCrl } from "./crl.ts";
import { certKey, crlKey, REVOKED_PREFIX } from "./record.ts";
import { serialOf } from "./serial.ts";
import { adminOf, agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());
beforeEach(() => fleet.reset());

async function enrol(server: TestServer, names: readonly string[]): Promise<void> {
  fleet.settings.autosign = true;
  await Promise.all(
    names.map(async (name) => server.ca.submit({ pem: await agentRequest(name), key: name })),
  );
}

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `n${index}.test`);

void test("revoke takes more serials than one transaction does", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test"]);
  const [a = ""] = one.ca.show("a.test").certificates.map(({ serial }) => serial);
  const strange = Array.from({ length: 2100 }, (_, index) => serialOf(0x70_0000 + index));
  const { results } = await one.ca.revoke({ serials: [...strange, a] });
  assert.deepEqual(
    results.filter(({ ok }) => ok).map(({ serial }) => serial),
    [a],
  );
  assert.equal(results.length, 2101);
});

void test("revoke on two servers at once publishes the same bytes for each number on both", async () => {
  const published = new Map<string, PublishedCrl[]>();
  const listen = (member: string) => {
    published.set(member, []);
    return { onCrl: (crl: PublishedCrl) => void published.get(member)?.push(crl) };
  };
  const one = await fleet.server("s1", listen("s1"));
  const two = await fleet.server("s2", listen("s2"));
  one.run();
  two.run();
  const names = namesOf(24);
  await enrol(one, names);
  const outcomes = await Promise.all(
    names.map((name, index) => (index % 2 === 0 ? one : two).ca.revoke({ names: [name] })),
  );
  assert.ok(outcomes.every(({ results }) => results[0]?.ok === true));

  const newest = () => [one.ca.currentCrl()?.number, two.ca.currentCrl()?.number];
  await until("both to publish the newest", () => new Set(newest()).size === 1, { withinMs: 5000 });
  const hashes = new Map<number, string>();
  for (const crls of published.values()) {
    let last = 0;
    for (const { number, der } of crls) {
      assert.ok(number > last, "numbers only grow");
      last = number;
      const sha256 = createHash("sha256").update(der).digest("hex");
      assert.equal(hashes.get(number) ?? sha256, sha256, `CRL ${number}`);
      hashes.set(number, sha256);
    }
  }
  for (const server of [one, two]) {
    const own = await until(
      "the file",
      async () => {
        const [crl] = parseCrls(await readFile(join(server.cadir, "ca_crl.pem")));
        return crl?.entries.length === 24 && crl;
      },
      { withinMs: 5000 },
    );
    assert.ok(own.entries.every(({ reason }) => reason === 1));
    assert.equal(server.ca.state().because, "");
  }
  const text = await run(["openssl", "crl", "-noout", "-text"], {
    input: await readFile(join(one.cadir, "ca_crl.pem"), "utf8"),
  });
  assert.match(text, /Key Compromise/);
  await run([
    "openssl",
    "crl",
    "-noout",
    "-verify",
    "-in",
    join(one.cadir, "ca_crl.pem"),
    "-CAfile",
    join(one.cadir, "ca_crt.pem"),
  ]);
});

void test("revoke gives a burst one number", async () => {
  const one = await fleet.server("s1");
  one.run();
  const names = namesOf(30);
  await enrol(one, names);
  const before = one.ca.currentCrl()?.number ?? 0;
  await Promise.all(names.map((name) => one.ca.revoke({ names: [name] })));
  const burst = (one.ca.currentCrl()?.number ?? 0) - before;
  assert.ok(burst <= 3, `${burst} numbers for 30 revocations`);
  // More than one transaction takes.
  const many = namesOf(130).slice(30);
  await enrol(one, many);
  const outcome = await one.ca.revoke({ names: many });
  assert.ok(outcome.results.every(({ ok }) => ok));
  assert.equal(one.ca.revocations().length, 130);
});

void test("revoke is idempotent, asks the edges again, and says which haven't confirmed", async () => {
  const asked: string[][] = [];
  const one = await fleet.server("s1", {
    confirmEdges: async (serials) => {
      asked.push([...serials]);
      return { confirmed: ["s1"], missing: [{ member: "s2", because: "no answer" }] };
    },
    confirmCopies: async () => ({ copies: 2, of: ["s1", "s2"] }),
  });
  await enrol(one, ["a.test"]);
  const first = await one.ca.revoke({ names: ["a.test"] });
  const number = one.ca.currentCrl()?.number;
  const again = await one.ca.revoke({ names: ["a.test"] });
  assert.equal(one.ca.currentCrl()?.number, number);
  const serial = first.results[0]?.serial ?? "";
  assert.deepEqual(asked, [[serial], [serial]]);
  assert.deepEqual(first.edges?.missing, [{ member: "s2", because: "no answer" }]);
  assert.equal(first.copies, 2);
  assert.deepEqual(again.results, first.results);
  const admin = await adminOf(one);
  const put = await one.fetch("PUT", "/puppet-ca/v1/certificate_status/a.test", {
    body: JSON.stringify({ desired_state: "revoked" }),
    as: admin,
  });
  assert.equal(put.status, 200);
  assert.match(await put.text(), /not confirmed yet by s2/);
});

void test("revoke asks the edges before it builds the CRL, which waits no longer than a second for them", async () => {
  const seen: (number | undefined)[] = [];
  const late = Promise.withResolvers<void>();
  const one = await fleet.server("s1", {
    confirmEdges: async () => {
      seen.push(one.ca.currentCrl()?.number);
      if (seen.length > 1) await late.promise;
      return { confirmed: ["s1"], missing: [] };
    },
  });
  await enrol(one, ["a.test", "b.test"]);
  const before = one.ca.currentCrl()?.number ?? 0;
  await one.ca.revoke({ names: ["a.test"] });
  assert.deepEqual(seen, [before]);
  assert.equal(one.ca.currentCrl()?.number, before + 1);
  // An edge that doesn't answer.
  const revoking = one.ca.revoke({ names: ["b.test"] });
  const published = () => one.ca.currentCrl()?.number === before + 2;
  await until("the CRL without the edge", published, { withinMs: 5000 });
  late.resolve();
  assert.deepEqual((await revoking).edges?.confirmed, ["s1"]);
});

void test("revoke by name takes older certificates of the name along; clean forgets the name", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test"]);
  fleet.settings.allowDuplicateCerts = true;
  await enrol(one, ["a.test"]);
  const outcome = await one.ca.clean(["a.test", "b.test", "../signed/x", "a.test"]);
  assert.deepEqual(
    outcome.results.map(({ name, ok, why }) => [name, ok, why]),
    [
      ["a.test", true, undefined],
      ["b.test", false, "unknown"],
      ["../signed/x", false, "unknown"],
    ],
  );
  assert.equal(one.ca.revocations().length, 2);
  assert.deepEqual(one.ca.list(), []);
  await assert.rejects(readFile(join(one.cadir, "signed/a.test.pem")), { code: "ENOENT" });
  // The name is free again, and its new certificate has a new serial.
  fleet.settings.allowDuplicateCerts = false;
  await enrol(one, ["a.test"]);
  assert.equal(one.ca.list("signed").length, 1);
});

void test("revoke by serial works on any certificate ever issued, and on nothing else", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test"]);
  const number = one.ca.list()[0]?.serial_number ?? 0;
  // The last ones: the next that this server gives, above all blocks, no serial at all.
  const serials = [serialOf(number), serialOf(number + 1), "00FFFFFF", "1", "rubbish", ""];
  const outcome = await one.ca.revoke({ serials });
  assert.deepEqual(
    outcome.results.map(({ ok }) => ok),
    [true, false, false, false, false, false],
  );
  assert.equal(one.ca.list()[0]?.state, "revoked");
});

void test("revoke ends what a name still has that was forgotten without it", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test", "b.test", "c.test"]);
  const as = await adminOf(one);
  for (const name of ["a.test", "b.test", "c.test"]) assert.ok(await one.ca.forget(name, "all"));
  const put = (name: string) =>
    one.fetch("PUT", `/puppet-ca/v1/certificate_status/${name}`, {
      as,
      body: '{"desired_state":"revoked"}',
    });
  assert.equal((await put("a.test")).status, 204);
  const [revoked] = (await one.ca.revoke({ names: ["b.test"] })).results;
  assert.equal(revoked?.ok, true);
  const [cleaned] = (await one.ca.clean(["c.test"])).results;
  assert.equal(cleaned?.ok, true);
  const names = one.ca.revocations().map(({ certname }) => certname);
  assert.deepEqual(new Set(names), new Set(["a.test", "b.test", "c.test"]));
  const again = await put("a.test");
  assert.deepEqual([again.status, await again.text()], [404, "Invalid certificate subject."]);
});

void test("the certificate of a member is revoked by its removal only", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["a.test"]);
  const former = await adminOf(one, "s2.lab.test");
  const as = await adminOf(one, "s2.lab.test");
  const serial = serialOf(parseCertificate(as.pem).serial);
  const names = ["a.test", "s2.lab.test"];
  const refused = { code: "ca.member-certificate" };
  await assert.rejects(one.ca.revoke({ names }), refused);
  await assert.rejects(one.ca.revoke({ serials: [serial] }), refused);
  await assert.rejects(one.ca.clean(names), refused);
  const status = "/puppet-ca/v1/certificate_status/s2.lab.test";
  const answer = await one.fetch("PUT", status, { as, body: '{"desired_state":"revoked"}' });
  assert.equal(answer.status, 403);
  assert.match(await answer.text(), /understudy member remove s2\.lab\.test$/);
  assert.deepEqual(one.ca.revocations(), []);
  // A name that agents call servers by is no member's own.
  const shared = await adminOf(one, "puppet.lab.test");
  await one.ca.revoke({ names: [shared.certname] });
  // One that was replaced is nobody's any more.
  const old = serialOf(parseCertificate(former.pem).serial);
  assert.equal((await one.ca.revoke({ serials: [old] })).results[0]?.ok, true);
  await one.ca.revoke({ names: ["s2.lab.test"], ofMembers: true });
  assert.deepEqual(
    one.ca.revocations().map((each) => each.serial),
    [serialOf(parseCertificate(shared.pem).serial), old, serial],
  );
});

void test("clean forgets many names in a few transactions", async () => {
  const one = await fleet.server("s1");
  const names = namesOf(130);
  await enrol(one, names);
  const revision = async () => (await one.etcd.range(REVOKED_PREFIX, { limit: 1 })).revision;
  const before = await revision();
  const { results } = await one.ca.clean([...names, "none.test"]);
  assert.equal(results.filter(({ ok }) => ok).length, names.length);
  const transactions = (await revision()) - before;
  assert.ok(transactions <= 5, `${transactions} for ${names.length} names`);
  assert.deepEqual(one.ca.list(), []);
});

void test("a CRL that doesn't come out as signed is not published, and the old one stays", async () => {
  const [one, two] = [await fleet.server("s1"), await fleet.server("s2")];
  one.run();
  two.run();
  await enrol(one, ["a.test", "b.test"]);
  await one.ca.revoke({ names: ["a.test"] });
  const number = one.ca.currentCrl()?.number ?? 0;
  await until("s2 to follow", () => two.ca.currentCrl()?.number === number, { withinMs: 5000 });
  // Somebody changes an entry by hand, then a new CRL is announced on top of it.
  const { kvs } = await one.etcd.range(REVOKED_PREFIX);
  const [entry] = kvs;
  assert.ok(entry !== undefined);
  const changed = entry.value.replace('"reason":1', '"reason":4');
  await one.etcd.transact({ when: [], then: [{ put: entry.key, value: changed }] });
  const crl = (await one.etcd.get(crlKey(number)))?.value ?? "";
  const next = crl.replace(`"number":${number}`, `"number":${number + 1}`);
  await one.etcd.transact({
    when: [],
    then: [
      { put: crlKey(number + 1), value: next },
      { put: "understudy/ca/crl-head", value: `{"number":${number + 1}}` },
    ],
  });
  for (const { ca } of [one, two]) {
    await until("the alarm", () => ca.state().because.includes("sha256"), { withinMs: 5000 });
    assert.equal(ca.currentCrl()?.number, number);
  }
});

void test("publish writes puppetserver's own copy of the CRL beside the directory's", async () => {
  const ssldir = join(fleet.folder, "ssl");
  await mkdir(ssldir, { recursive: true });
  const hostCrlPath = join(ssldir, "crl.pem");
  await writeFile(hostCrlPath, "old");
  const one = await fleet.server("s1", { hostCrlPath });
  await one.ca.repair();
  const published = one.ca.currentCrl()?.pem.toString();
  assert.equal(await readFile(hostCrlPath, "utf8"), published);
  assert.equal(await readFile(join(one.cadir, "ca_crl.pem"), "utf8"), published);
  assert.equal(parseCrls(published ?? "").length, 2);
});

void test("a CRL leaves out what ended more than a week ago, and edges go on refusing it", async () => {
  const one = await fleet.server("s1");
  await enrol(one, ["old.test", "new.test"]);
  const serials = (names: string[]) =>
    one.ca
      .list("signed")
      .flatMap(({ name, serial_number: serial = 0 }) =>
        names.includes(name) ? [serialOf(BigInt(serial))] : [],
      );
  const [old = "", fresh = ""] = [...serials(["old.test"]), ...serials(["new.test"])];
  const { etcd } = one;
  const key = certKey(old);
  const value = JSON.parse((await etcd.get(key))?.value ?? "") as object;
  const notAfter = new Date(Date.now() - 8 * 86_400_000).toISOString();
  const ended = JSON.stringify({ ...value, notAfter });
  await etcd.transact({ when: [], then: [{ put: key, value: ended }] });
  const two = await fleet.server("s2");
  await two.ca.revoke({ serials: [old, fresh] });
  const entries = (server: TestServer) =>
    parseCrls(server.ca.currentCrl()?.pem ?? Buffer.alloc(0))[0]?.entries.map(({ serial }) =>
      serialOf(serial),
    );
  assert.deepEqual(entries(two), [fresh]);
  const refused = two.ca.revocations().map(({ serial }) => serial);
  assert.deepEqual(refused.toSorted(), [old, fresh].toSorted());
  // Whoever reads the record builds the same bytes.
  const three = await fleet.server("s3");
  assert.deepEqual(three.ca.currentCrl()?.der, two.ca.currentCrl()?.der);
});
