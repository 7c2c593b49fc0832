import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Fault } from "../base/fault.ts";
import { exportSpki, readPrivateKey } from "../x509/keys.ts";
import { type Files, generate, renderGenerated } from "./ca-generate.ts";

const FILES = {
  certificate: "/ssl/certs/db.test.pem",
  privateKey: "/ssl/private_keys/db.test.pem",
};

void test("renderGenerated names the files, and the servers that have the certificate on disk", () => {
  const signed = { certname: "db.test", copies: 2, of: ["s1", "s2"] };
  assert.equal(
    renderGenerated(signed, FILES),
    "db.test: signed\n  /ssl/certs/db.test.pem\n  /ssl/private_keys/db.test.pem\n2 copies: s1, s2",
  );
  assert.match(renderGenerated({ ...signed, copies: 1, of: ["s1"] }, FILES), /^1 copy: only s1 /m);
});

async function emptyFiles(t: TestContext): Promise<{ folder: string; files: Files }> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-generate-"));
  t.after(async () => rm(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  return {
    folder,
    files: { owned: {}, privateKey: at("key"), publicKey: at("pub"), certificate: at("cert") },
  };
}

const failing = (code: string) => async () => Promise.reject(new Fault(code, "no"));
const SIGNED = { certname: "db.test", pem: "PEM", copies: 1, of: ["s1"] };

void test("generate leaves nothing where it is refused, and the key where it may be repeated", async (t) => {
  const { folder, files } = await emptyFiles(t);
  for (const code of ["ca.name-taken", "ca.request-refused"]) {
    await assert.rejects(generate("db.test", [], files, failing(code)), { code });
    assert.deepEqual(await readdir(folder), [], code);
  }
  // It may be signed by now.
  await assert.rejects(generate("db.test", [], files, failing("cli.no-daemon")));
  const key = await readFile(files.privateKey, "utf8");
  await rm(files.publicKey);
  await assert.rejects(generate("db.test", [], files, failing("ca.name-taken")));
  await generate("db.test", [], files, async () => SIGNED);
  assert.deepEqual(await readdir(folder), ["cert", "key", "pub"]);
  assert.equal(await readFile(files.privateKey, "utf8"), key);
  assert.equal(await readFile(files.publicKey, "utf8"), exportSpki(readPrivateKey(key)));
});

void test("generate overwrites nothing, and then has made nothing either", async (t) => {
  const { folder, files } = await emptyFiles(t);
  for (const path of [files.publicKey, files.certificate]) {
    await writeFile(path, "another's");
    const asked = async () => assert.fail("nothing is to be signed");
    await assert.rejects(generate("db.test", [], files, asked), { code: "ca.file-there" });
    assert.equal((await readdir(folder)).length, 1);
    await rm(path);
  }
});
