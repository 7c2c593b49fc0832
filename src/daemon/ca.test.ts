import assert from "node:assert/strict";
import { test } from "node:test";
import { caSettings } from "./ca.ts";

const PUPPET = { autosign: "false", allowDuplicateCerts: true, caTtlSeconds: 3600 };

test("caSettings takes what puppet.conf says, and ca.conf's life of a certificate before it", () => {
  const settings = caSettings(PUPPET, undefined);
  assert.equal(settings.allowDuplicateCerts, true);
  assert.equal(settings.caTtlSeconds, 3600);
  assert.equal(settings.autosign, false);
  const conf = 'certificate-authority: { ca-ttl: "2h", allow-subject-alt-names: true }';
  const both = caSettings({ ...PUPPET, autosign: "/etc/puppet/autosign.conf" }, conf);
  assert.equal(both.caTtlSeconds, 7200);
  assert.ok(both.allowSubjectAltNames && both.allowDuplicateCerts);
  assert.equal(both.autosign, "/etc/puppet/autosign.conf");
});

test("caSettings refuses a ca_ttl that stock doesn't start with, where ca.conf has none", () => {
  for (const caTtlSeconds of [0, 1_576_800_001]) {
    const puppet = { ...PUPPET, caTtlSeconds };
    assert.throws(() => caSettings(puppet, ""), { code: "ca.conf", message: /^ca_ttl of puppet/ });
    const conf = "certificate-authority: { ca-ttl: 1d }";
    assert.equal(caSettings(puppet, conf).caTtlSeconds, 86_400);
  }
});
