import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { run } from "../host/process.ts";
import { observeHostCertificate, otherNames, staysAsItIs } from "./host-certificate.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-host-certificate-"));
  for (const ca of ["ours", "theirs"]) await selfSigned(ca);
});
after(async () => rm(folder, { recursive: true }));

test("observeHostCertificate tells names, key and whether the CA here signed it", async () => {
  await signed("ours", "DNS:puppet,DNS:puppet.test,IP:10.0.0.1");
  const layout = layoutWith("ours");
  const found = await observeHostCertificate(layout);
  assert.deepEqual(found, {
    path: layout.hostcert,
    altNames: ["puppet", "puppet.test", "10.0.0.1"],
    keyFits: true,
    ours: true,
  });
  const names = { id: "s1.test", sharedName: "puppet.test" };
  assert.ok(staysAsItIs(found, ["puppet.test"]));
  assert.ok(staysAsItIs(found, ["puppet.test", "10.0.0.1"]));
  assert.ok(!staysAsItIs(found, ["puppet.test", "more.test"]));
  assert.deepEqual(otherNames(found, names), ["puppet", "10.0.0.1"]);
  const wished = ["more.test", "puppet", "s1.test"];
  assert.deepEqual(otherNames(found, names, wished), ["puppet", "10.0.0.1", "more.test"]);
  assert.deepEqual(otherNames(undefined, names, wished), ["more.test", "puppet"]);
  assert.ok(!staysAsItIs(found, ["other.test"]));
});

test("a certificate of another CA, or of another key, doesn't stay", async () => {
  await signed("theirs", "DNS:puppet.test");
  const foreign = await observeHostCertificate(layoutWith("ours"));
  assert.equal(foreign?.ours, false);
  assert.ok(!staysAsItIs(foreign, ["puppet.test"]));
  const unknown = await observeHostCertificate(layoutWith("nowhere"));
  assert.equal(unknown?.ours, undefined);
  assert.ok(staysAsItIs(unknown, ["puppet.test"]));
  const other = { ...layoutWith("theirs"), hostprivkey: join(folder, "ours.key") };
  assert.ok(!staysAsItIs(await observeHostCertificate(other), ["puppet.test"]));
});

test("observeHostCertificate finds none where there is none", async () => {
  const layout = { ...layoutWith("ours"), hostcert: join(folder, "none.pem") };
  assert.equal(await observeHostCertificate(layout), undefined);
});

function layoutWith(ca: string): PuppetLayout {
  const file = (name: string) => join(folder, name);
  return {
    cadir: file(ca),
    hostcert: file("s1.pem"),
    hostprivkey: file("s1.key"),
  } as PuppetLayout;
}

async function selfSigned(name: string): Promise<void> {
  await run(["mkdir", "-p", join(folder, name)]);
  const files = ["-keyout", `${name}.key`, "-out", `${name}/ca_crt.pem`];
  await openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`, ...files);
}

async function signed(ca: string, altNames: string): Promise<void> {
  await openssl(
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    "/CN=s1.test",
    "-keyout",
    "s1.key",
    "-out",
    "s1.csr",
  );
  await writeFile(join(folder, "ext"), `subjectAltName=${altNames}\n`);
  const issuer = ["-CA", `${ca}/ca_crt.pem`, "-CAkey", `${ca}.key`, "-CAcreateserial"];
  await openssl("x509", "-req", "-in", "s1.csr", ...issuer, "-extfile", "ext", "-out", "s1.pem");
}

async function openssl(...args: string[]): Promise<void> {
  await run(["openssl", ...args], { cwd: folder });
}
