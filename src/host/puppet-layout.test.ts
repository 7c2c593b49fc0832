import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { findPuppet, parseConfigPrint, readPuppetLayout } from "./puppet-layout.ts";

const made: string[] = [];
after(async () => {
  await Promise.all(made.map(async (folder) => rm(folder, { recursive: true })));
});

/** A file tree with `files`; programs print what they are given. */
async function tree(files: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), "understudy-layout-"));
  made.push(root);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content, { mode: 0o755 });
  }
  return root;
}

const PRINTED = `ssldir = /srv/ssl
cadir = /srv/ca
certname = s1.lab.test
hostcert = /srv/ssl/certs/s1.lab.test.pem
hostprivkey = /srv/ssl/private_keys/s1.lab.test.pem
localcacert = /srv/ssl/certs/ca.pem
hostcrl = /srv/ssl/crl.pem
csr_attributes = /etc/puppet/csr_attributes.yaml
allow_duplicate_certs = true
ca_ttl = 31536000
ca_port = 8141
autosign = true`;
const says = (text: string) => `#!/bin/sh\ncat <<'END'\n${text}\nEND\n`;

test("readPuppetLayout finds Debian's packaging and takes what puppet prints", async () => {
  const root = await tree({
    "usr/bin/puppet": says(`warning: noise\n${PRINTED}\n7.23.0`),
    "usr/bin/puppetserver": says("puppetserver version: 7.9.5"),
    "etc/puppet/puppetserver/conf.d/webserver.conf": "",
  });
  const layout = await readPuppetLayout(root);
  assert.equal(layout.kind, "debian");
  assert.equal(layout.puppetConf, "/etc/puppet/puppet.conf");
  assert.equal(layout.certname, "s1.lab.test");
  assert.equal(layout.cadir, "/srv/ca");
  assert.equal(layout.hostcert, "/srv/ssl/certs/s1.lab.test.pem");
  assert.equal(layout.hostprivkey, "/srv/ssl/private_keys/s1.lab.test.pem");
  assert.equal(layout.autosign, "true");
  assert.equal(layout.allowDuplicateCerts, true);
  assert.equal(layout.caTtlSeconds, 31_536_000);
  assert.equal(layout.caPort, "8141");
  assert.equal(layout.puppetserver.caCfg, "/etc/puppet/puppetserver/services.d/ca.cfg");
  assert.deepEqual(layout.versions, { puppet: "7.23.0", puppetserver: "7.9.5" });
});

test("readPuppetLayout finds the vendor's packaging", async () => {
  const root = await tree(vendor(says(PRINTED)));
  const layout = await readPuppetLayout(root);
  assert.equal(layout.kind, "vendor");
  assert.equal(layout.puppetserver.caCfg, "/etc/puppetlabs/puppetserver/services.d/ca.cfg");
  assert.equal(layout.puppetserver.defaultsFile, "/etc/sysconfig/puppetserver");
  assert.deepEqual(layout.versions, { puppet: undefined, puppetserver: "8.7.0" });
});

const SILENT: [what: string, puppet: string, said: RegExp][] = [
  ["fails", "#!/bin/sh\necho 'syntax error' >&2\nexit 1\n", /it fails/],
  ["can't be started", "#!/nowhere\n", /it fails/],
  ["leaves a setting out", says(PRINTED.replace(/^cadir.*\n/m, "")), /cadir is ""/],
  ["prints no path for one", says(PRINTED.replace("/srv/ca", "$confdir/ca")), /cadir is "\$/],
  ["prints no duration", says(PRINTED.replace("31536000", "soon")), /"soon" is no duration/],
];
for (const [what, puppet, said] of SILENT) {
  test(`readPuppetLayout guesses nothing where puppet ${what}`, async () => {
    const root = await tree(vendor(puppet));
    await assert.rejects(readPuppetLayout(root), (error) => {
      assert.ok(isFault(error, "host.puppet-silent"));
      assert.match(error.message, said);
      assert.match(error.hints.join("\n"), /config print --section server certname/);
      return true;
    });
    assert.equal((await findPuppet(root)).kind, "vendor");
  });
}

function vendor(puppet: string): Record<string, string> {
  return {
    "opt/puppetlabs/bin/puppet": puppet,
    "opt/puppetlabs/bin/puppetserver": says("puppetserver version: 8.7.0"),
    "etc/puppetlabs/puppetserver/conf.d/webserver.conf": "",
    "etc/sysconfig/puppetserver": "",
  };
}

test("readPuppetLayout names what it looked for when there is no Puppet Server", async () => {
  const root = await tree({ "usr/bin/puppet": says("") });
  await assert.rejects(readPuppetLayout(root), (error) => {
    assert.ok(isFault(error, "host.no-puppetserver"));
    const hints = error.hints.join("\n");
    assert.match(hints, /debian packages: no \/usr\/bin\/puppetserver/);
    assert.match(hints, /vendor packages: no \/opt\/puppetlabs\/bin\/puppet/);
    return true;
  });
});

test("parseConfigPrint keeps empty values and skips noise", () => {
  assert.deepEqual(parseConfigPrint("dns_alt_names = \nWarning: x = y\nssldir = /a b\n"), {
    dns_alt_names: "",
    ssldir: "/a b",
  });
});
