import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tryRun } from "../src/host/process.ts";
import { failuresOf, summaryOf } from "./ok.ts";
import { fetchInto, parseSimulation, toolEnv, toolPath } from "./tools.ts";

const folder = mkdtempSync(join(tmpdir(), "understudy-bootstrap-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const lock = (version: string) =>
  JSON.stringify({ packages: { "": {}, "node_modules/x": { version } } });

/** A project of its own with this bootstrap, a program, and an npm that says what it would do. */
function project(name: string, program: string, installed: string | undefined): string {
  const top = join(folder, name);
  mkdirSync(join(top, "scripts"), { recursive: true });
  mkdirSync(join(top, "lab"));
  mkdirSync(join(top, "bin"));
  copyFileSync(join(import.meta.dirname, "bootstrap.mjs"), join(top, "scripts/bootstrap.mjs"));
  writeFileSync(join(top, "package-lock.json"), lock("2.0.0"));
  writeFileSync(join(top, "lab/program.mjs"), program);
  const npm = `#!/bin/sh
echo "npm $*"
mkdir -p node_modules/.bin && ln -sf ${process.execPath} node_modules/.bin/node
cp package-lock.json node_modules/.package-lock.json`;
  writeFileSync(join(top, "bin/npm"), npm);
  chmodSync(join(top, "bin/npm"), 0o755);
  if (installed === undefined) return top;
  mkdirSync(join(top, "node_modules/.bin"), { recursive: true });
  symlinkSync(process.execPath, join(top, "node_modules/.bin/node"));
  writeFileSync(join(top, "node_modules/.package-lock.json"), lock(installed));
  return top;
}

/**
 * The lower folder must not lie in the project, whose own entries the bootstrap takes off the path
 * for npm.
 */
function start(top: string, args: string[], options: { path?: string } = {}) {
  const bin = join(folder, `bin-${Math.random()}`);
  symlinkSync(join(top, "bin"), bin);
  const env = { ...process.env, PATH: options.path ?? `${bin}:${process.env["PATH"]}` };
  return tryRun([process.execPath, join(top, "scripts/bootstrap.mjs"), ...args], { env });
}

test("bootstrap hands arguments and exit code on, and leaves installed packages alone", async () => {
  const top = project(
    "ready",
    "console.log(process.argv.slice(2).join()); process.exit(7)",
    "2.0.0",
  );
  const result = await start(top, ["lab/program.mjs", "a", "--b"]);
  assert.deepEqual([result.code, result.stdout, result.stderr], [7, "a,--b\n", ""]);
});

test("bootstrap installs npm packages when none, or others than the lock says, are there", async () => {
  for (const [name, installed, because] of [
    ["none", undefined, /none are installed/],
    ["older", "1.0.0", /node_modules\/x is not at version 2\.0\.0/],
  ] as const) {
    const top = project(name, "console.log('started')", installed);
    const result = await start(top, ["lab/program.mjs"]);
    assert.deepEqual([result.code, result.stdout], [0, "started\n"], result.stderr);
    assert.match(result.stderr, because);
    assert.match(result.stderr, /^npm install /m);
    assert.equal(
      (await start(top, ["lab/program.mjs"])).stderr,
      "",
      "the second time needs nothing",
    );
  }
});

test("bootstrap lets programs find the system's own, whatever the path was", async () => {
  const top = project("path", "console.log(process.env.PATH)", "2.0.0");
  const result = await start(top, ["lab/program.mjs"], { path: "/opt/x:/sbin" });
  assert.equal(result.stdout, "/opt/x:/sbin:/usr/sbin\n");
});

test("bootstrap passes SIGTERM on and ends by it", async () => {
  const top = project("signal", "console.log('up'); setInterval(() => {}, 1000)", "2.0.0");
  const child = spawn(process.execPath, [join(top, "scripts/bootstrap.mjs"), "lab/program.mjs"]);
  await once(child.stdout, "data");
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [null, "SIGTERM"]);
});

test("bootstrap says which programs are missing, or that root is", async () => {
  const top = project("needs", "", "2.0.0");
  const result = await start(top, ["lab/command.ts", "up"], { path: join(folder, "empty") });
  assert.equal(result.code, 1);
  assert.match(result.stderr, process.getuid?.() === 0 ? /mmdebstrap/ : /needs root/);
});

const isRoot = process.getuid?.() === 0;
test("bootstrap waits while another apt has the lock", { skip: !isRoot }, async () => {
  const top = project("lock", "", "2.0.0");
  writeFileSync(join(top, "lab/command.ts"), "console.log('started')");
  const apt = `#!/bin/sh
echo "$*" >> ${top}/calls
[ -e ${top}/once ] && exit 0
: > ${top}/once; echo "E: Could not get lock /var/lib/apt/lists/lock." >&2; exit 100`;
  writeFileSync(join(top, "bin/apt-get"), apt, { mode: 0o755 });
  const result = await start(top, ["lab/command.ts"], { path: join(top, "bin") });
  assert.deepEqual([result.code, result.stdout], [0, "started\n"], result.stderr);
  assert.match(result.stderr, /this waits for up to 120 s\)\nE: Could not get lock/);
  const calls = readFileSync(join(top, "calls"), "utf8").trim().split("\n");
  assert.equal(calls.length, 2);
  assert.match(calls[0] ?? "", /DPkg::Lock::Timeout=120 install -y .*mmdebstrap/);
});

test("toolPath gives programs that start in toolEnv", async () => {
  const asks = { haproxy: "-v", etcd: "--version", etcdctl: "version", keepalived: "--version" };
  for (const [name, ask] of Object.entries(asks) as ["haproxy", string][]) {
    const result = await tryRun([toolPath(name), ask], { env: toolEnv() });
    assert.equal(result.ok, true, `${name}: ${result.stderr}`);
  }
});

/** An apt whose lists name a version that the archive has no more, until they are fetched anew. */
const STALE_APT = `#!/bin/sh
cd "$STALE"
case " $* " in
  *" update "*) echo "$*" >> updates ;;
  *" -s "*) echo "Inst haproxy (2 Debian [all])" ;;
  *" download "*) [ -s updates ] && touch "$OLDPWD/haproxy.deb" || { echo 404 >&2; exit 100; } ;;
esac`;

test("fetchInto fetches stale package lists anew, once", async () => {
  const top = join(folder, "stale");
  mkdirSync(join(top, "bin"), { recursive: true });
  mkdirSync(join(top, "work"));
  for (const [name, text] of [
    ["apt-get", STALE_APT],
    ["dpkg", '#!/bin/sh\nmkdir -p "$3"'],
  ] as const) {
    writeFileSync(join(top, "bin", name), text, { mode: 0o755 });
  }
  const before = { ...process.env };
  Object.assign(process.env, { PATH: `${join(top, "bin")}:${before["PATH"]}`, STALE: top });
  try {
    await fetchInto(join(top, "work"), ["haproxy"]);
    assert.equal(readFileSync(join(top, "work/root/packages"), "utf8"), "haproxy.deb\n");
    assert.equal(readFileSync(join(top, "updates"), "utf8").trim().split("\n").length, 1);
    writeFileSync(join(top, "bin/apt-get"), "#!/bin/sh\necho gone >&2; exit 100", { mode: 0o755 });
    await assert.rejects(fetchInto(join(top, "work"), ["haproxy"]), /gone/);
  } finally {
    process.env = before;
  }
});

test("parseSimulation lists what apt would install or renew", () => {
  const text =
    "NOTE: x\nInst libnl-3-200 (3.7.0 Debian:12 [amd64])\nInst a [1] (2 D [all])\nConf a";
  assert.deepEqual(parseSimulation(text), ["libnl-3-200", "a"]);
});

test("summaryOf and failuresOf read the end of node's spec output", () => {
  const text = "✔ a\n✖ b\nℹ tests 2\nℹ pass 1\nℹ fail 1\n\n✖ failing tests:\n\nb: why";
  assert.equal(summaryOf(text), "1 passed, 1 failed");
  assert.equal(failuresOf(text), "✖ failing tests:\n\nb: why");
  assert.equal(failuresOf("broken"), "broken");
});
