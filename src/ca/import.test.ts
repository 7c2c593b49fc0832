import assert from "node:assert/strict";
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { run } from "../host/process.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { createAuthority } from "./create.ts";
import { readAuthority } from "./directory-state.ts";
import { importAuthority } from "./import.ts";
import { AUTHORITY_KEY, CA_PREFIX } from "./record.ts";
import { adminOf, agentRequest, startFleet, type Fleet } from "./testing/fleet.ts";

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

/**
 * A CA directory in stock's layout, made by openssl alone: one CA, two certificates, one revoked.
 */
async function makeStock(cadir: string): Promise<void> {
  const at = (name: string) => join(cadir, name);
  await mkdir(at("signed"));
  await mkdir(at("requests"));
  const openssl = (...args: string[]) => run(["openssl", ...args], { cwd: cadir });
  await openssl("genrsa", "-traditional", "-out", "ca_key.pem", "2048");
  await openssl(
    "req",
    "-x509",
    "-new",
    "-key",
    "ca_key.pem",
    "-out",
    "ca_crt.pem",
    "-days",
    "3650",
    "-subj",
    "/CN=Puppet CA: old.lab.test",
    "-set_serial",
    "1",
  );
  await openssl("rsa", "-in", "ca_key.pem", "-pubout", "-out", "ca_pub.pem");
  await writeFile(at("openssl.cnf"), OPENSSL_CONFIG);
  await writeFile(at("index.txt"), "");
  await writeFile(at("openssl-serial"), "0A\n");
  await writeFile(at("openssl-crlnumber"), "07\n");
  for (const name of ["web.lab.test", "gone.lab.test"]) {
    await openssl(
      "req",
      "-new",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      `${name}.key`,
      "-subj",
      `/CN=${name}`,
      "-out",
      `${name}.csr`,
    );
    await openssl(
      "ca",
      "-batch",
      "-config",
      "openssl.cnf",
      "-in",
      `${name}.csr`,
      "-notext",
      "-out",
      `signed/${name}.pem`,
    );
  }
  await openssl("ca", "-config", "openssl.cnf", "-revoke", "signed/gone.lab.test.pem");
  await openssl("ca", "-config", "openssl.cnf", "-gencrl", "-out", "ca_crl.pem");
  await writeFile(at("requests/waits.lab.test.pem"), await agentRequest("waits.lab.test"));
  await writeFile(
    at("inventory.txt"),
    "0x000a 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=web.lab.test\n" +
      "0x0009 2020-01-01T00:00:00UTC 2021-01-01T00:00:00UTC /CN=old.lab.test\n" +
      "0x0030 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=lost.lab.test\n",
  );
  await writeFile(at("serial"), "000C");
}

const OPENSSL_CONFIG = `
[ca]
default_ca = it
[it]
dir = .
database = ./index.txt
serial = ./openssl-serial
crlnumber = ./openssl-crlnumber
certificate = ./ca_crt.pem
private_key = ./ca_key.pem
new_certs_dir = .
default_md = sha256
default_days = 365
default_crl_days = 365
policy = any
[any]
commonName = supplied
`;

async function copyOfStock(): Promise<string> {
  const cadir = join(fleet.folder, `stock-${Math.random().toString(36).slice(2)}`);
  await cp(stock, cadir, { recursive: true });
  return cadir;
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
  assert.deepEqual(imported, {
    signed: 1,
    requests: 1,
    revoked: 1,
    // Above the inventory's 0x30, which has no file any more.
    next: 0x31,
    odd: [],
  });
  const { revision } = await etcd.range(CA_PREFIX);
  assert.deepEqual(await importAuthority({ etcd, cadir }), imported);
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

/** Signs with stock's CA, as stock does: certificate, inventory line, next serial. */
async function stockSigns(cadir: string, name: string, request: string): Promise<void> {
  await writeFile(join(cadir, `${name}.csr`), request);
  const serial = (await readFile(join(cadir, "openssl-serial"), "utf8")).trim();
  const files = ["-in", `${name}.csr`, "-out", `signed/${name}.pem`];
  await stockRuns(cadir, "-batch", "-notext", ...files);
  const times = "2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC";
  await appendFile(join(cadir, "inventory.txt"), `0x00${serial} ${times} /CN=${name}\n`);
  await cp(join(cadir, "openssl-serial"), join(cadir, "serial"));
}

async function stockRevokes(cadir: string, name: string): Promise<void> {
  await stockRuns(cadir, "-revoke", `signed/${name}.pem`);
  await stockRuns(cadir, "-gencrl", "-out", "ca_crl.pem");
}

const stockRuns = (cadir: string, ...args: string[]) =>
  run(["openssl", "ca", "-config", "openssl.cnf", ...args], { cwd: cadir });

/** A copy whose next serial is the one that openssl gives next. */
async function runningStock(): Promise<string> {
  const cadir = await copyOfStock();
  const inventory = join(cadir, "inventory.txt");
  const lines = (await readFile(inventory, "utf8")).split("\n");
  await writeFile(inventory, lines.filter((line) => !line.startsWith("0x0030")).join("\n"));
  return cadir;
}

void test("importAuthority again takes in what stock signed, revoked and cleaned since", async () => {
  const cadir = await runningStock();
  const etcd = fleet.cluster.client();
  const requestFile = (name: string) => join(cadir, `requests/${name}.pem`);
  await stockSigns(cadir, "leaves.lab.test", await agentRequest("leaves.lab.test"));
  const first = await importAuthority({ etcd, cadir });
  assert.equal(first.next, 0x0d);
  // The power goes; stock starts at boot and goes on with its own CA.
  await stockSigns(cadir, "waits.lab.test", await readFile(requestFile("waits.lab.test"), "utf8"));
  await rm(requestFile("waits.lab.test"));
  await writeFile(requestFile("asks.lab.test"), await agentRequest("asks.lab.test"));
  await stockRevokes(cadir, "web.lab.test");
  await stockRevokes(cadir, "leaves.lab.test");
  await rm(join(cadir, "signed/leaves.lab.test.pem"));

  const again = await importAuthority({ etcd, cadir });
  assert.deepEqual(
    { ...again, odd: [] },
    { signed: 1, requests: 1, revoked: 3, next: 0x0e, odd: [] },
  );
  const one = await fleet.server("s1", { cadir, etcd });
  await one.ca.repair();
  assert.equal(one.ca.state().because, "");
  // Above stock's 9 and the 8 that the first import signed.
  assert.equal(one.ca.currentCrl()?.number, 10);
  assert.deepEqual(
    one.ca.list().map(({ name, state, serial_number: serial }) => [name, state, serial]),
    [
      ["asks.lab.test", "requested", undefined],
      ["gone.lab.test", "revoked", 0x0b],
      ["waits.lab.test", "signed", 0x0d],
      ["web.lab.test", "revoked", 0x0a],
    ],
  );
  const signed = await one.ca.sign(["asks.lab.test"]);
  assert.ok(Number.parseInt(signed.results[0]?.serial ?? "0", 16) >= 0x0e);
  // What the cluster does from now on is its own: a directory that lags behind takes nothing back.
  await cp(join(cadir, "signed"), join(cadir, "signed-before"), { recursive: true });
  await one.ca.clean(["waits.lab.test", "asks.lab.test"]);
  await cp(join(cadir, "signed-before"), join(cadir, "signed"), { recursive: true });
  const { revision } = await etcd.range(CA_PREFIX);
  await importAuthority({ etcd, cadir });
  assert.equal((await etcd.range(CA_PREFIX)).revision, revision);
});

void test("importAuthority refuses loudly when stock and a member gave one serial twice", async () => {
  const cadir = await runningStock();
  const etcd = fleet.cluster.client();
  await importAuthority({ etcd, cadir });
  const other = await copyOfStock();
  const one = await fleet.server("s1", { cadir: other, etcd });
  const { certname } = await adminOf(one);
  await stockSigns(cadir, "late.lab.test", await agentRequest("late.lab.test"));
  const { revision } = await etcd.range(CA_PREFIX);
  await assert.rejects(importAuthority({ etcd, cadir }), (error) => {
    assert.ok(isFault(error, "ca.serial-twice"));
    assert.ok(error.message.includes(certname) && error.message.includes("late.lab.test"));
    return true;
  });
  assert.equal((await etcd.range(CA_PREFIX)).revision, revision, "nothing was changed");
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
  const { odd, signed, requests } = await importAuthority({ etcd, cadir });
  assert.equal(odd.length, 5, odd.join("\n"));
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
