import assert from "node:assert/strict";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { run } from "../host/process.ts";
import { certificatePem, parseCertificate } from "../x509/certificate.ts";
import { createCrl, crlPem } from "../x509/crl.ts";
import { TAG } from "../x509/der.ts";
import { exportPkcs8, generateEcKey, keyIdOf, readPrivateKey } from "../x509/keys.ts";
import { authority, NOW_MS } from "../x509/testing/authority.ts";
import { createAuthority } from "./create.ts";
import { readAuthority } from "./directory-state.ts";
import { importAuthority, surveyAuthority } from "./import.ts";
import { AUTHORITY_KEY, CA_PREFIX } from "./record.ts";
import { startFleet, type Fleet } from "./testing/fleet.ts";
import { makeStock } from "./testing/stock.ts";

let fleet: Fleet;
let stock: string;
before(async () => {
  fleet = await startFleet();
  stock = await mkdtemp(join(tmpdir(), "understudy-stock-"));
  await makeStock(stock);
});
after(async () => {
  await fleet.close();
  await rm(stock, { recursive: true, force: true });
});
beforeEach(() => fleet.reset());

async function copyOfStock(): Promise<string> {
  const cadir = join(fleet.folder, `stock-${Math.random().toString(36).slice(2)}`);
  await cp(stock, cadir, { recursive: true });
  return cadir;
}

/** An authority that is whole, but with a key that stock can't sign with. */
async function writeEcAuthority(cadir: string): Promise<void> {
  const key = generateEcKey();
  const { der, keyId } = authority(key);
  const times = { thisUpdateMs: NOW_MS, nextUpdateMs: NOW_MS };
  const issuerDer = parseCertificate(der).subjectDer;
  const crl = { issuerDer, authorityKeyId: keyId, number: 1, entries: [], signingKey: key };
  await writeFile(join(cadir, "ca_key.pem"), exportPkcs8(key));
  await writeFile(join(cadir, "ca_crt.pem"), certificatePem(der));
  await writeFile(join(cadir, "ca_crl.pem"), crlPem(createCrl({ ...crl, ...times }).der));
}

async function snapshotOf(cadir: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of await readdir(cadir, { recursive: true })) {
    files[name] = await readFile(join(cadir, name), "utf8").catch(() => "a folder");
  }
  return files;
}

void test("importAuthority takes a directory made by openssl in, and a server goes on from it", async () => {
  const cadir = await copyOfStock();
  const before = await snapshotOf(cadir);
  const etcd = fleet.cluster.client();
  const imported = await importAuthority({ etcd, cadir });
  assert.deepEqual(await snapshotOf(cadir), before);
  const { oddities, ...counts } = imported;
  assert.deepEqual(
    oddities.map(({ kind, what }) => [kind, what]),
    [
      ["serial-behind", ["it says C, and 30 is given"]],
      ["revoked-file", ["gone.lab.test"]],
      ["no-file", ["lost.lab.test (00000030)"]],
      ["no-line", ["gone.lab.test"]],
    ],
  );
  assert.deepEqual(counts, {
    signed: 1,
    requests: 1,
    revoked: 1,
    // Above the inventory's 0x30, which has no file any more.
    next: 0x31,
  });
  const { revision } = await etcd.range(CA_PREFIX);
  assert.deepEqual(await importAuthority({ etcd, cadir }), imported);
  assert.deepEqual(await surveyAuthority(cadir), imported);
  assert.equal((await etcd.range(CA_PREFIX)).revision, revision, "nothing was left to do");
  const { value } = (await etcd.get(AUTHORITY_KEY)) ?? { value: "{}" };
  assert.equal((JSON.parse(value) as { origin: string }).origin, "imported");

  const one = await fleet.server("s1", { cadir, etcd });
  await one.ca.repair();
  assert.ok((one.ca.currentCrl()?.number ?? 0) > 7);
  assert.deepEqual(
    one.ca.list().map(({ name, state, serial_number: serial }) => [name, state, serial]),
    [
      ["waits.lab.test", "requested", undefined],
      ["gone.lab.test", "revoked", 0x0b],
      ["web.lab.test", "signed", 0x0a],
    ],
  );
  const served = await one.fetch("GET", "/puppet-ca/v1/certificate/web.lab.test");
  const der = parseCertificate(before["signed/web.lab.test.pem"] ?? "").der;
  assert.ok(parseCertificate(await served.text()).der.equals(der));
  const outcome = await one.ca.sign(["waits.lab.test"]);
  assert.ok(Number.parseInt(outcome.results[0]?.serial ?? "0", 16) >= 0x31);
  await run([
    "openssl",
    "verify",
    "-crl_check",
    "-CRLfile",
    join(cadir, "ca_crl.pem"),
    "-CAfile",
    join(cadir, "ca_crt.pem"),
    join(cadir, "signed/waits.lab.test.pem"),
  ]);
  // Serials below all that the record knows may have been given by a CA whose files were lost; 1 is
  // the CA's own.
  const before30 = await one.ca.revoke({ serials: ["0000002F", "00000001"] });
  assert.deepEqual(
    before30.results.map(({ ok }) => ok),
    [true, false],
  );
  const inventory = await readFile(join(cadir, "inventory.txt"), "utf8");
  assert.ok(inventory.startsWith(before["inventory.txt"] ?? "?"));
  assert.match(inventory, /\/CN=gone\.lab\.test\n/);
  assert.equal(await readFile(join(cadir, "ca_crt.pem"), "utf8"), before["ca_crt.pem"]);
});

void test("importAuthority goes on where it was interrupted, and two at once end as one", async () => {
  const cadir = await copyOfStock();
  const etcd = fleet.cluster.client();
  let left = 3;
  const failing = {
    ...etcd,
    transact: (...args: Parameters<typeof etcd.transact>) => {
      left -= 1;
      return left < 0 ? Promise.reject(new Error("power cut")) : etcd.transact(...args);
    },
  };
  await assert.rejects(importAuthority({ etcd: failing, cadir }), /power cut/);
  await assert.rejects(fleet.server("s1", { cadir, etcd }), { code: "ca.no-record" });
  const both = await Promise.all([1, 2].map(() => importAuthority({ etcd, cadir })));
  assert.deepEqual(
    both.map(({ next }) => next),
    [0x31, 0x31],
  );
  const one = await fleet.server("s1", { cadir, etcd });
  assert.equal(one.ca.list().length, 3);
  assert.equal(one.ca.state().because, "");
});

void test("importAuthority reports what is odd, and takes in the rest", async () => {
  const cadir = await copyOfStock();
  await writeFile(join(cadir, "signed/junk.lab.test.pem"), "junk");
  await cp(join(cadir, "signed/web.lab.test.pem"), join(cadir, "signed/twin.lab.test.pem"));
  const foreign = await run([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "/dev/null",
    "-subj",
    "/CN=foreign.lab.test",
  ]);
  await writeFile(join(cadir, "signed/foreign.lab.test.pem"), foreign);
  await writeFile(join(cadir, "requests/bad.lab.test.pem"), "bad");
  await appendFile(join(cadir, "inventory.txt"), "not a line\n");
  const etcd = fleet.cluster.client();
  const { oddities, signed, requests } = await importAuthority({ etcd, cadir });
  assert.deepEqual(
    oddities.map(({ kind }) => kind),
    [
      "serial-behind",
      "revoked-file",
      "foreign",
      "misnamed",
      "unreadable",
      "no-file",
      "no-line",
      "request",
      "line",
    ],
  );
  assert.equal(signed, 1);
  assert.equal(requests, 1);
});

void test("importAuthority refuses a second CA, a directory that is half there, and one that is empty", async () => {
  const etcd = fleet.cluster.client();
  const one = await fleet.server("s1", { etcd });
  await one.stop();
  const cadir = await copyOfStock();
  const refused = (code: string, folder = cadir) =>
    assert.rejects(importAuthority({ etcd, cadir: folder }), { code });
  await refused("ca.other-authority");
  await rm(join(cadir, "serial"));
  await refused("ca.directory-partial");
  await refused("ca.directory-absent", join(fleet.folder, "nothing"));
});

void test("readAuthority says what is wrong with a directory", async () => {
  const cases: [change: (cadir: string) => Promise<unknown>, problem: RegExp][] = [
    [(cadir) => rm(join(cadir, "ca_key.pem")), /ca_key\.pem is missing/],
    [(cadir) => rm(join(cadir, "inventory.txt")), /inventory\.txt is missing/],
    [(cadir) => writeFile(join(cadir, "ca_crt.pem"), ""), /no certificate/],
    [(cadir) => writeFile(join(cadir, "serial"), "xyz"), /no serial number/],
    [(cadir) => writeFile(join(cadir, "ca_crl.pem"), ""), /has no CRL that/],
    [
      async (cadir) =>
        writeFile(join(cadir, "ca_key.pem"), await run(["openssl", "genrsa", "2048"])),
      /is not the key of the first certificate/,
    ],
    [
      writeEcAuthority,
      /ca_key\.pem is a key of type ec prime256v1: Puppet's CA signs with RSA only/,
    ],
  ];
  for (const [change, problem] of cases) {
    const cadir = await copyOfStock();
    await change(cadir);
    const found = await readAuthority(cadir);
    assert.equal(found.state, "partial");
    assert.match(found.problems.join("\n"), problem);
    await assert.rejects(createAuthority({ cadir, caName: "x" }), { code: "ca.directory-partial" });
  }
  const cadir = await copyOfStock();
  for (const name of ["ca_crt.pem", "ca_key.pem", "ca_crl.pem", "serial", "inventory.txt"]) {
    await rm(join(cadir, name));
  }
  assert.equal((await readAuthority(cadir)).state, "partial", "signed certificates are left");
  assert.deepEqual(await readAuthority(join(cadir, "nothing")), { state: "absent" });
});

void test("readAuthority takes a CRL that writes the CA's name in another type of string", async () => {
  const cadir = await copyOfStock();
  const { subjectDer, spkiDer } = parseCertificate(await readFile(join(cadir, "ca_crt.pem")));
  const issuerDer = Buffer.from(subjectDer);
  issuerDer[issuerDer.indexOf(Buffer.from("Puppet CA")) - 2] = TAG.printableString;
  assert.notDeepEqual(issuerDer, subjectDer);
  const crl = createCrl({
    issuerDer,
    authorityKeyId: keyIdOf(spkiDer),
    number: 9,
    entries: [],
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS,
    signingKey: readPrivateKey(await readFile(join(cadir, "ca_key.pem"))),
  });
  await writeFile(join(cadir, "ca_crl.pem"), crlPem(crl.der));
  assert.equal((await readAuthority(cadir)).state, "complete");
});

void test("createAuthority makes what openssl and puppetserver understand, once", async () => {
  const cadir = join(fleet.folder, "fresh", "ca");
  await mkdir(join(cadir, "signed"), { recursive: true });
  // What an earlier attempt left behind.
  await mkdir(join(fleet.folder, "fresh", ".ca.understudy-new", "junk"), { recursive: true });
  const options = { cadir, caName: "Puppet CA: new.lab.test", keyBits: 2048 };
  const made = await createAuthority(options);
  assert.equal(made.created, true);
  const again = await createAuthority(options);
  assert.equal(again.created, false);
  assert.ok(again.authority.issuer.certificate.der.equals(made.authority.issuer.certificate.der));
  assert.deepEqual((await readdir(cadir)).sort(), [
    "ca_crl.pem",
    "ca_crt.pem",
    "ca_key.pem",
    "ca_pub.pem",
    "infra_inventory.txt",
    "infra_serials",
    "inventory.txt",
    "requests",
    "root_key.pem",
    "serial",
    "signed",
  ]);
  assert.match(await readFile(join(cadir, "ca_key.pem"), "utf8"), /^-----BEGIN RSA PRIVATE KEY/);
  const shown = await run(["openssl", "x509", "-noout", "-text", "-in", join(cadir, "ca_crt.pem")]);
  assert.match(shown, /Issuer: CN = Puppet Root CA: [0-9a-f]{14}\n/);
  assert.match(shown, /Subject: CN = Puppet CA: new\.lab\.test\n/);
  assert.match(shown, /CA:TRUE/);
  await run([
    "openssl",
    "verify",
    "-crl_check_all",
    "-CRLfile",
    join(cadir, "ca_crl.pem"),
    "-CAfile",
    join(cadir, "ca_crt.pem"),
    join(cadir, "ca_crt.pem"),
  ]);
});
