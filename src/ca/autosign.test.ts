import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { decideAutosign, matchAllowlist } from "./autosign.ts";
import { createPolicyProgram, policyPrefix, rubyEnvironment } from "./policy-program.ts";

void test("matchAllowlist reads an allowlist as Puppet Server does", () => {
  const cases: [line: string, certname: string, allowed: boolean][] = [
    ["*", "a.b", true],
    ["a.b", "a.b", true],
    ["A.b", "a.b", false],
    ["*.red", "a.red", true],
    ["*.red", "a.b.red", true],
    ["*.red", "red", true],
    ["*.RED", "a.red", true],
    ["*.red", "red.white", false],
    ["*.b.red", "a.red", false],
    ["*.b.red", "a.b.red", true],
    ["red", "a.red", false],
    ["#a.b", "a.b", false],
    [" a.b", "a.b", false],
    ["a.b ", "a.b", false],
    ["a.b # mine", "a.b", false],
    ["*foo", "a.b", false],
    ["", "", false],
  ];
  for (const [line, certname, allowed] of cases) {
    const text = `# a comment\n\n${line}\r\nother.host\n`;
    assert.equal(matchAllowlist(certname, text).allowed, allowed, `${line} for ${certname}`);
  }
  assert.deepEqual(matchAllowlist("x", "a b\nx#y\n").invalid, ["a b", "x#y"]);
});

void test("decideAutosign signs nothing by a file that is missing or unreadable", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-autosign-"));
  try {
    const program = createPolicyProgram();
    const decide = (autosign: boolean | string, certname: string) =>
      decideAutosign(autosign, { certname, pem: "the request\n" }, program);
    const file = join(folder, "autosign.conf");
    assert.deepEqual(await decide(file, "a"), { sign: false, warnings: [] });
    assert.deepEqual(await decide(true, "a"), { sign: true, warnings: [] });
    assert.deepEqual(await decide(false, "a"), { sign: false, warnings: [] });
    await writeFile(file, "a\n");
    assert.equal((await decide(file, "a")).sign, true);
    const directory = await decide(folder, "a");
    assert.equal(directory.sign, false);
    assert.equal(directory.warnings.length, 1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

void test("a program decides by its exit code, with the name and the request as it came", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-autosign-"));
  try {
    const program = createPolicyProgram();
    const path = join(folder, "policy");
    const decide = async (script: string, certname = "a.test") => {
      await writeFile(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return decideAutosign(path, { certname, pem: "the request\n" }, program);
    };
    const yes = { sign: true, warnings: [] };
    const no = { sign: false, warnings: [] };
    assert.deepEqual(await decide("exit 0"), yes);
    assert.deepEqual(await decide("exit 1"), no);
    assert.deepEqual(await decide("kill -9 $$"), no);
    assert.deepEqual(await decide('[ "$#" = 1 ] && [ "$1" = a.test ]'), yes);
    assert.deepEqual(await decide('[ "$(cat)" = "the request" ]'), yes);
    assert.deepEqual(await decide("echo fine"), yes);
    const loud = await decide("echo why >&2; echo more >&2; exit 3");
    assert.deepEqual(loud, { sign: false, warnings: [`${path} about a.test: why | more`] });
    await writeFile(path, "#!/bin/sh\nexec sleep 60\n");
    const slow = await createPolicyProgram({ withinMs: 200 })(path, "a.test", "");
    const warning = `${path} took too long over a.test: it is not signed`;
    assert.deepEqual(slow, { sign: false, warnings: [warning] });
    const broken = await decideAutosign(
      path,
      { certname: "a.test", pem: "" },
      createPolicyProgram({ prefix: [join(folder, "none")] }),
    );
    assert.equal(broken.sign, false);
    assert.match(broken.warnings[0] ?? "", /can't be run/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

void test("few programs run at once, the others wait, and a crowd isn't let in", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-autosign-"));
  try {
    const program = createPolicyProgram();
    const path = join(folder, "policy");
    const gate = join(folder, "gate");
    await writeFile(
      path,
      `#!/bin/sh\ntouch ${folder}/run-$$\nwhile [ ! -e ${gate} ]; do sleep 0.05; done\n`,
      {
        mode: 0o755,
      },
    );
    const asked = Array.from({ length: 120 }, async (_, index) =>
      program(path, `n${index}.test`, ""),
    );
    const runs = async () =>
      (await readdir(folder)).filter((name) => name.startsWith("run-")).length;
    await until("the first ones", async () => (await runs()) === 4, { withinMs: 20_000 });
    await writeFile(gate, "");
    const verdicts = await Promise.all(asked);
    assert.equal(verdicts.filter(({ sign }) => sign).length, 104);
    assert.match(
      verdicts.at(-1)?.warnings[0] ?? "",
      /isn't asked about n119\.test: it is too busy/,
    );
    assert.equal(await runs(), 104);
  } finally {
    await rm(folder, { recursive: true });
  }
});

void test("policyPrefix gives a program no more rights than puppetserver has", () => {
  const argv = policyPrefix({
    user: "puppet",
    group: "puppet",
    environmentFile: "/etc/default/x",
    environment: { GEM_PATH: "/a:/b" },
  });
  assert.equal(argv[0], "systemd-run");
  assert.ok(argv.includes("--uid=puppet") && argv.includes("--gid=puppet"));
  assert.ok(argv.includes("--property=EnvironmentFile=-/etc/default/x"));
  assert.ok(argv.includes("--setenv=GEM_PATH=/a:/b"));
  assert.equal(argv.at(-1), "--");
});

void test("rubyEnvironment is what puppetserver adds for programs in Ruby", () => {
  const vendor = `jruby-puppet: {
    # (optional) path to where Ruby is
    ruby-load-path: [/opt/puppetlabs/puppet/lib/ruby/vendor_ruby]
    gem-home: /opt/puppetlabs/server/data/puppetserver/jruby-gems
    gem-path: [\${jruby-puppet.gem-home}, "/opt/puppetlabs/server/vendored-jruby-gems", "/opt/gems"]
    max-active-instances: 1
}`;
  assert.deepEqual(rubyEnvironment(vendor), {
    GEM_PATH:
      "/opt/puppetlabs/server/data/puppetserver/jruby-gems:/opt/puppetlabs/server/vendored-jruby-gems:/opt/gems",
    RUBYLIB: "/opt/puppetlabs/puppet/lib/ruby/vendor_ruby",
  });
  assert.deepEqual(rubyEnvironment("jruby-puppet: { gem-path: /one }"), { GEM_PATH: "/one" });
  assert.deepEqual(rubyEnvironment("jruby-puppet: { gem-path: [], ruby-load-path: [a, {}] }"), {});
  assert.deepEqual(rubyEnvironment(""), {});
});
