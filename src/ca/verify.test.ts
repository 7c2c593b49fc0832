import assert from "node:assert/strict";
import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { certKey, crlKey, nameKey, revokedKey } from "./record.ts";
import { agentRequest, startFleet, type Fleet, type TestServer } from "./testing/fleet.ts";

let fleet: Fleet;
let one: TestServer;
before(async () => {
  fleet = await startFleet();
  fleet.settings.autosign = true;
  one = await fleet.server("s1");
  one.run();
  for (const name of ["a.test", "b.test", "c.test"]) {
    await one.ca.submit({ pem: await agentRequest(name), key: name });
  }
  await one.ca.revoke({ names: ["b.test"] });
  await one.ca.repair();
});
after(() => fleet.close());

const serialOfName = (name: string) => one.ca.show(name).certificates[0]?.serial ?? "";

void test("verify finds nothing in what is whole, and counts it", async () => {
  const { findings, found, fresh, ...counts } = await one.ca.verify();
  assert.deepEqual(findings, []);
  assert.equal(found, 0);
  assert.equal(fresh, true);
  const crlNumber = one.ca.currentCrl()?.number;
  assert.deepEqual(counts, { certificates: 3, names: 3, requests: 0, revocations: 1, crlNumber });
});

/** What verify finds once `spoil` was done; it is undone after. */
async function foundAfter(file: string, spoil: (path: string) => Promise<void>): Promise<string[]> {
  const path = join(one.cadir, file);
  const before = await readFile(path).catch(() => undefined);
  await spoil(path);
  const { findings } = await one.ca.verify();
  if (before === undefined) await rm(path);
  else await writeFile(path, before);
  return findings.map(({ what, because }) => `${what.replace(`${one.cadir}/`, "")}: ${because}`);
}

void test("verify finds what is wrong with the directory, and leaves it as it is", async () => {
  const differs = "is missing, or isn't the record's";
  const cases: [string, (path: string) => Promise<void>, string | RegExp][] = [
    ["signed/a.test.pem", (path) => rm(path), `signed/a.test.pem: ${differs}`],
    [
      "signed/x.test.pem",
      (path) => writeFile(path, "x"),
      "signed/x.test.pem: is unknown to the record",
    ],
    [
      "inventory.txt",
      (path) => writeFile(path, ""),
      /^inventory.txt: has no line for a.test, serial /,
    ],
    [
      "inventory.txt",
      (path) => appendFile(path, "what is this\n"),
      /^inventory.txt: line \d+ can't be understood$/,
    ],
    ["ca_crl.pem", (path) => writeFile(path, "none"), /^ca_crl.pem: is not the published CRL \d+$/],
    ["ca_crl.pem", (path) => rm(path), /^ca_crl.pem: is not the published CRL \d+$/],
    ["ca_key.pem", (path) => rm(path), /^ca_key.pem: this server signs nothing .*: ENOENT/],
    [
      "ca_key.pem",
      (path) => writeFile(path, exportPkcs8(generateEcKey())),
      /^ca_key.pem: this server signs nothing .*: it is another CA's key$/,
    ],
  ];
  for (const [file, spoil, expected] of cases) {
    const [first = "", ...more] = await foundAfter(file, spoil);
    if (typeof expected === "string") assert.equal(first, expected);
    else assert.match(first, expected);
    if (file !== "inventory.txt") assert.deepEqual(more, []);
  }
  assert.equal((await one.ca.verify()).found, 0);
});

void test("verify finds nothing wrong with what is being signed meanwhile", async () => {
  const over = new AbortController();
  const enrol = async (who: string) => {
    for (let count = 0; !over.signal.aborted; count += 1) {
      const name = `${who}${count}.busy.test`;
      await one.ca.submit({ pem: await agentRequest(name), key: name });
    }
  };
  const enrolling = Promise.all(["a", "b", "c", "d"].map(enrol));
  const findings: unknown[] = [];
  for (let looks = 0; looks < 20; looks += 1) findings.push(...(await one.ca.verify()).findings);
  over.abort();
  await enrolling;
  assert.deepEqual(findings, []);
});

void test("verify finds a record that doesn't fit together", async () => {
  const { etcd } = one;
  const [a, c] = [certKey(serialOfName("a.test")), certKey(serialOfName("c.test"))];
  const was = new Map(
    await Promise.all(
      [a, c].map(async (key) => [key, (await etcd.get(key))?.value ?? ""] as const),
    ),
  );
  const put = async (key: string, value: string) => {
    await etcd.transact({ when: [], then: [{ put: key, value }] });
  };
  const foundWith = async (key: string, value: string) => {
    await put(key, value);
    const { findings } = await one.ca.verify();
    await put(key, was.get(key) ?? "");
    return findings.map(({ what, because }) => `${what}: ${because}`).join("\n");
  };
  const other = (from: string, to: string) => (was.get(a) ?? "").replace(from, to);
  assert.match(
    await foundWith(a, was.get(c) ?? ""),
    /^c.test, serial \w+: the certificate has another serial/,
  );
  assert.match(
    await foundWith(a, other('"a.test"', '"z.test"')),
    /the certificate is for "a.test"/,
  );
  assert.match(await foundWith(a, other('"s1"', '"s9"')), /s9 had not reserved this serial/);
  assert.match(await foundWith(a, "garbage"), /ca\/cert\/\w+: /);
  const stray = nameKey("stray.test");
  await put(stray, JSON.stringify({ serial: "0000FFFF" }));
  const { findings } = await one.ca.verify();
  assert.ok(findings.some(({ because }) => because === "its certificate 0000FFFF is not there"));
  await etcd.transact({ when: [], then: [{ delete: stray }] });
  assert.equal((await one.ca.verify()).found, 0);
});

void test("verify finds revocations that the record has lost, or that no CRL has", async () => {
  const { etcd } = one;
  const number = one.ca.currentCrl()?.number ?? 0;
  const [revoked, other] = ["b.test", "a.test"].map((name) => revokedKey(serialOfName(name)));
  assert.ok(revoked !== undefined && other !== undefined);
  const changes: [key: string, value: string | undefined, found: RegExp][] = [
    [revoked, undefined, /^it has 1 entries, and the record 0: /],
    [other, (await etcd.get(revoked))?.value, /^it has 1 entries, and the record 2: /],
    [crlKey(number), undefined, /^the record lacks it: /],
  ];
  for (const [key, value, found] of changes) {
    const was = (await etcd.get(key))?.value;
    const put = async (text: string | undefined) => {
      const then = text === undefined ? [{ delete: key }] : [{ put: key, value: text }];
      await etcd.transact({ when: [], then });
    };
    await put(value);
    const { findings } = await one.ca.verify();
    await put(was);
    assert.deepEqual(
      findings.map(({ what }) => what),
      [`CRL ${number}`],
    );
    assert.match(findings[0]?.because ?? "", found);
  }
  assert.equal((await one.ca.verify()).found, 0);
});
