import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { makePki, type TestPki } from "../edge/testing/pki.ts";
import { decideIdentity, type PuppetFiles } from "./identity-files.ts";

const NAME = "puppet.test";
let folder = "";
let pki: TestPki;
let files: PuppetFiles;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "identity-"));
  pki = await makePki(folder);
  const own = await pki.pki.leaf("own", { subject: "/CN=s1", ca: "issuing", alt: `DNS:${NAME}` });
  files = {
    certificate: own.cert,
    key: own.key,
    bundle: await readFile(pki.puppetCaFile, "utf8"),
  };
});
after(async () => rm(folder, { recursive: true, force: true }));

test("decideIdentity names the issuing CA of files that fit", () => {
  const { names, issuers } = decideIdentity(files, NAME) ?? {};
  assert.deepEqual({ names, issuers }, { names: [NAME], issuers: [pki.issuer] });
});

test("decideIdentity takes names in whatever case, as agents do", () => {
  assert.deepEqual(decideIdentity(files, NAME.toUpperCase())?.names, [NAME]);
});

test("decideIdentity waits for a certificate with the shared name", () => {
  assert.equal(decideIdentity(files, "other.test"), undefined);
});

test("decideIdentity refuses files that HAProxy would not start with", () => {
  const cases: [Partial<PuppetFiles>, string][] = [
    [{ key: pki.agent.key }, "edge.identity"],
    [{ key: "no key" }, "x509.key"],
    [{ bundle: "" }, "edge.identity"],
    [{ bundle: "hello" }, "edge.identity"],
    [{ bundle: files.bundle.slice(0, -100) }, "x509.malformed"],
    [{ certificate: files.certificate.slice(0, 200) }, "x509.malformed"],
  ];
  for (const [change, code] of cases) {
    assert.throws(
      () => decideIdentity({ ...files, ...change }, NAME),
      (error) => isFault(error, code),
      JSON.stringify(change).slice(0, 60),
    );
  }
});
