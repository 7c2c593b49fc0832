import assert from "node:assert/strict";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createAuthority } from "../create.ts";
import { caLayout } from "../layout.ts";
import { pack, type ArchiveFile } from "./archive.ts";
import { checkBackup } from "./check.ts";
import { COST_MIN, seal } from "./seal.ts";
import { manifestOf } from "./testing/manifest.ts";

const PASSPHRASE = "correct horse battery staple";
const MANIFEST = manifestOf({ signed: 0, requests: 1 });

let folder: string;
let files: ArchiveFile[];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-check-"));
  const made: Record<string, Buffer> = {};
  for (const name of ["one", "other"]) {
    const cadir = join(folder, name);
    await createAuthority({ cadir, caName: `Puppet CA: ${name}`, keyBits: 2048 });
    made[name] = await readFile(caLayout(cadir).key);
  }
  const names = ["ca_crt.pem", "ca_key.pem", "ca_crl.pem", "serial", "inventory.txt"];
  files = await Promise.all(
    names.map(async (path) => ({ path, content: await readFile(join(folder, "one", path)) })),
  );
  files.push({ path: "requests/a.test.pem", content: Buffer.from("x") });
  files.push({ path: "root_key.pem", content: made["other"] ?? Buffer.alloc(0) });
});
after(async () => rm(folder, { recursive: true, force: true }));

/** Checks an archive of these files, made by somebody who knows the passphrase. */
async function checked(some: readonly ArchiveFile[], manifest = MANIFEST) {
  const path = join(folder, "backup");
  await writeFile(path, seal(pack(manifest, some), PASSPHRASE, COST_MIN));
  const file = await open(path, "r");
  try {
    return await checkBackup(file, PASSPHRASE);
  } finally {
    await file.close();
  }
}

void test("checkBackup takes an archive whose main files are one authority", async () => {
  const { authority } = await checked(files);
  assert.equal(authority.issuer.certificate.subjectText, "CN=Puppet CA: one");
});

void test("checkBackup refuses another CA's key, a CRL that the CA didn't sign, and what is missing", async () => {
  const [otherKey, otherCrl] = await Promise.all(
    ["ca_key.pem", "ca_crl.pem"].map(async (path) => ({
      path,
      content: await readFile(join(folder, "other", path)),
    })),
  );
  const without = (path: string) => files.filter((file) => file.path !== path);
  const instead = (file: ArchiveFile | undefined) =>
    file === undefined ? [] : [...without(file.path), file];
  const content = Buffer.from("zzz");
  const bad: [string, readonly ArchiveFile[], RegExp][] = [
    ["another key", instead(otherKey), /ca_key\.pem is not the key/],
    ["another CRL", instead(otherCrl), /ca_crl\.pem has no CRL/],
    ["no key", without("ca_key.pem"), /ca_key\.pem is missing/],
    ["no serial", without("serial"), /serial is missing/],
    ["a serial that is none", instead({ path: "serial", content }), /serial: /],
    ["no request", without("requests/a.test.pem"), /0 files in requests\/, and says 1/],
    ["nothing", [], /0 files in requests/],
  ];
  for (const [what, some, why] of bad) {
    await assert.rejects(
      checked(some),
      (error: { code: string; message: string; hints: string[] }) => {
        assert.equal(error.code, "ca.backup-damaged", what);
        assert.match([error.message, ...error.hints].join("\n"), why, what);
        return true;
      },
    );
  }
});
