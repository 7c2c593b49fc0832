import assert from "node:assert/strict";
import { test } from "node:test";
import { allowlistIn, editJettyIni, parseAllowlist } from "./jetty-ini.ts";

const FILE = "/etc/puppetdb/conf.d/jetty.ini";

test("editJettyIni leaves one listener, on loopback", () => {
  const before =
    "[jetty]\n# a note\n# host = <host>\nport = 8080\nssl-host = 0.0.0.0\nssl-port = 8081\nssl-key = /k\n";
  const after =
    "[jetty]\nhost = 127.0.0.1\n# a note\n# host = <host>\nport = 8080\n# ssl-host = 0.0.0.0\n# ssl-port = 8081\nssl-key = /k\n";
  assert.equal(editJettyIni(before, FILE), after);
  assert.equal(editJettyIni(after, FILE), after);
  const open = editJettyIni("[jetty]\nhost = 0.0.0.0\nport = 80\n", FILE);
  assert.equal(open, "[jetty]\nhost = 127.0.0.1\nport = 8080\n");
});

test("editJettyIni refuses what it doesn't understand", () => {
  for (const text of ["", "[jetty]\nnonsense\n", "[jetty]\n[other]\nport = 1\n", "port = 1\n"]) {
    assert.throws(() => editJettyIni(text, FILE), /jetty\.ini:\d: /);
  }
});

test("allowlistIn finds the allowlist under both of its names", () => {
  assert.equal(allowlistIn("[puppetdb]\ncertificate-whitelist = /etc/a\n"), "/etc/a");
  assert.equal(allowlistIn("[puppetdb]\n# certificate-allowlist = /etc/a\n"), undefined);
  assert.deepEqual(parseAllowlist("a.test\n# b\n\nc.test # d\n"), ["a.test", "c.test"]);
});
