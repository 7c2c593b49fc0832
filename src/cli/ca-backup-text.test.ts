import assert from "node:assert/strict";
import { test } from "node:test";
import { manifestOf } from "../ca/backup/testing/manifest.ts";
import { renderManifest, renderRestored } from "./ca-backup-text.ts";

const RESTORED = { cadir: "/ca", serialNext: 0x100081, crlNumber: 1048583, movedTo: undefined };

void test("renderManifest says which CA it is, as of when, and what isn't in it", () => {
  const text = renderManifest(manifestOf()).join("\n");
  assert.match(text, /^ {2}CA +CN=Puppet CA: s1\.lab\.test, valid until 2041/m);
  assert.match(text, /^ {2}as of +2026-11-20T10:00:00\.000Z, revision 41 of etcd$/m);
  assert.match(text, /^ {2}next serial +0x0081$/m);
  assert.match(text, /^ {2}root CA's key +is in it$/m);
  const other = renderManifest(manifestOf({ source: "copy", rootKey: false })).join("\n");
  assert.match(other, /revision 41 of s1\.lab\.test's copy$/m);
  assert.match(other, /root CA's key +is not in it/);
});

void test("renderRestored tells what is unknown now, and the command that makes the same cluster", () => {
  const text = renderRestored({ ...RESTORED, manifest: manifestOf() });
  assert.match(
    text,
    /^\/ca: restored as of 2026-11-20T10:00:00\.000Z, 2 signed certificates, 1 request, 1 revocation\./,
  );
  assert.match(text, /Serials go on at 0x100081, CRLs at 1048583/);
  assert.match(text, /^ {2}understudy init --name puppet\.lab\.test --vip 10\.88\.0\.10\/24$/m);
  assert.doesNotMatch(text, /What was there/);
});

void test("renderRestored names what was moved aside, and every option that init had", () => {
  const { settings } = manifestOf();
  const manifest = manifestOf({
    settings: {
      ...settings,
      otherNames: ["puppet", "old.lab.test"],
      acceptProxyFrom: ["10.0.0.0/8"],
      isolatedEdge: "refuse",
    },
  });
  const text = renderRestored({ ...RESTORED, manifest, movedTo: "/ca.before-restore-1" });
  assert.match(text, /^What was there is in \/ca\.before-restore-1\.$/m);
  assert.match(text, /--name puppet\.lab\.test --alt-name puppet --alt-name old\.lab\.test --vip/);
  assert.match(text, /--accept-proxy 10\.0\.0\.0\/8 --isolated-edge refuse$/m);
});
