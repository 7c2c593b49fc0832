import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PATHS, PORTS } from "../src/host/paths.ts";
import { run } from "../src/host/process.ts";
import { STOPPED_MARK, TABLE } from "../src/setup/make-way.ts";

const FOLDER = join(import.meta.dirname, "units");
const NAMES = (await readdir(FOLDER)).sort();
const UNITS = new Map(
  await Promise.all(
    NAMES.map(async (name) => [name, await readFile(join(FOLDER, name), "utf8")] as const),
  ),
);

/** The values of `key` in a unit, continued lines joined. */
function values(unit: string, key: string): string[] {
  const text = (UNITS.get(unit) ?? "").replaceAll("\\\n", "");
  return text
    .split("\n")
    .flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));
}

test("units are those that the design names", () => {
  assert.deepEqual(NAMES, [
    "understudy-courier.service",
    "understudy-courier.socket",
    "understudy-edge.service",
    "understudy-etcd.service",
    "understudy-files.service",
    "understudy-files.socket",
    "understudy-switchover@.service",
    "understudy-vip.service",
    "understudy.service",
  ]);
});

test("units that others must not delay say so to the kernel for their session too", () => {
  for (const name of NAMES) {
    for (const nice of values(name, "Nice")) {
      const weigh = `-+/bin/sh -c 'echo ${nice} > /proc/$MAINPID/autogroup'`;
      assert.deepEqual(values(name, "ExecStartPost"), [weigh], name);
    }
  }
});

test("units don't depend on each other, but for sockets that systemd holds", () => {
  const keys = ["Requires", "Requisite", "BindsTo", "PartOf", "Wants", "After", "Conflicts"];
  for (const name of NAMES) {
    const tied = keys
      .flatMap((key) => values(name, key))
      .filter((value) => /understudy/.test(value));
    assert.ok(
      tied.every((value) =>
        name === "understudy-courier.service"
          ? value === "understudy-courier.socket"
          : value === "understudy-files.socket",
      ),
      `${name}: ${tied.join()}`,
    );
  }
  // A hard tie would stop the edge with the socket.
  assert.deepEqual(values("understudy-edge.service", "Requires"), []);
});

test("units start nothing on a server that is no member, and are brought back for ever on one that is", () => {
  for (const name of NAMES) {
    assert.ok(values(name, "ConditionPathExists").length > 0, name);
    if (name.endsWith(".socket")) continue;
    assert.deepEqual(values(name, "Restart"), ["always"], name);
    assert.deepEqual(values(name, "StartLimitIntervalSec"), ["0"], name);
  }
});

test("units use the paths of src/host/paths.ts", () => {
  assert.deepEqual(values("understudy.service", "ConditionPathExists"), [PATHS.nodeFile]);
  assert.deepEqual(values("understudy-files.socket", "ListenStream"), [PATHS.filesSocket]);
  assert.deepEqual(values("understudy-etcd.service", "ReadWritePaths"), [PATHS.etcd]);
  for (const name of ["understudy-courier.service", "understudy-courier.socket"]) {
    assert.deepEqual(values(name, "ConditionPathExists"), [PATHS.courierConfig]);
  }
  assert.deepEqual(values("understudy-courier.service", "ReadWritePaths"), [PATHS.courier]);
  assert.deepEqual(values("understudy-courier.socket", "ListenStream"), [
    String(PORTS.courier),
    `0.0.0.0:${PORTS.courierPeer}`,
    PATHS.courierSocket,
  ]);
  assert.match(
    values("understudy-edge.service", "Environment").join(" "),
    new RegExp(`${PATHS.edge}/`),
  );
  assert.ok(values("understudy-vip.service", "ExecStart")[0]?.includes(`${PATHS.vip}/`));
  const switchover = "understudy-switchover@.service";
  assert.deepEqual(values(switchover, "ConditionPathExists"), [
    `${PATHS.switchover}/%i/order.json`,
  ]);
  assert.deepEqual(values(switchover, "ReadWritePaths"), [`${PATHS.run} ${PATHS.vip}`]);
});

test("an etcd member without quorum is not killed for it, and no boot waits for it", () => {
  // With notify, systemd would wait for "ready", which comes with quorum only.
  assert.deepEqual(values("understudy-etcd.service", "Type"), ["exec"]);
});

test("the file server has no network, no capability and no key", () => {
  const unit = "understudy-files.service";
  assert.deepEqual(values(unit, "PrivateNetwork"), ["yes"]);
  assert.deepEqual(values(unit, "CapabilityBoundingSet"), [""]);
  const hidden = values(unit, "InaccessiblePaths").join(" ");
  assert.match(hidden, /-\/etc\/puppet\/puppetserver\/ca\/ca_key\.pem/);
  assert.match(hidden, /-\/var\/lib\/understudy/);
});

test("maintainer scripts and the command are shell that sh can parse", async () => {
  for (const name of [
    "maintainer/postinst",
    "maintainer/prerm",
    "maintainer/postrm",
    "files/understudy",
  ]) {
    await run(["sh", "-n", join(import.meta.dirname, name)]);
  }
});

test("postinst enables and starts nothing; an upgrade restarts what may restart", async () => {
  const text = await readFile(join(import.meta.dirname, "maintainer", "postinst"), "utf8");
  const systemctl = text.match(/systemctl [^;\n]*/g) ?? [];
  assert.deepEqual(systemctl, [
    "systemctl --system daemon-reload",
    "systemctl try-restart understudy.service understudy-files.service understudy-courier.service || true",
  ]);
});

test("prerm starts the puppetserver that an unfinished setup stopped, and lets its agents in", async () => {
  const text = await readFile(join(import.meta.dirname, "maintainer", "prerm"), "utf8");
  assert.ok(text.includes(`[ -e ${STOPPED_MARK} ]; then puppetserver=active`));
  assert.ok(text.includes(`nft delete table ${TABLE}`));
});

test("prerm starts a puppetserver again that was starting or reloading when it had to stop", async () => {
  const text = await readFile(join(import.meta.dirname, "maintainer", "prerm"), "utf8");
  // What systemd calls a unit, and whether it is to run when the package is gone.
  for (const [state, runs] of [
    ["active", true],
    ["activating", true],
    ["reloading", true],
    ["inactive", false],
    ["failed", false],
    ["", false],
  ] as const) {
    const judged = /^    case "\$puppetserver".*?^    esac$/ms.exec(text)?.[0] ?? "";
    const script = `systemctl() { echo "$*"; }\npuppetserver=${state}\n${judged}`;
    const said = (await run(["sh", "-c", script])).trim();
    assert.equal(said, runs ? "start puppetserver.service" : "", state);
  }
});

test("postrm keeps what puppetserver's files name, and not for copies that nobody reads", async () => {
  const text = await readFile(join(import.meta.dirname, "maintainer", "postrm"), "utf8");
  const look = /^  using=.*$/m.exec(text)?.[0] ?? "";
  const folder = await mkdtemp(join(tmpdir(), "understudy-postrm-"));
  try {
    const script = `${look.replaceAll("/etc/", `${folder}/`)}\necho "$using"`;
    const confD = join(folder, "puppet", "puppetserver", "conf.d");
    await mkdir(confD, { recursive: true });
    for (const [name, counts] of [
      ["webserver.conf.from-understudy", false],
      ["webserver.conf.before-understudy", false],
      ["webserver.conf", true],
    ] as const) {
      await writeFile(join(confD, name), `ssl-key: ${PATHS.listenerPki}/listener.key\n`);
      assert.equal((await run(["sh", "-c", script])).trim(), counts ? join(confD, name) : "", name);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("postrm deletes our own folders only", async () => {
  const text = await readFile(join(import.meta.dirname, "maintainer", "postrm"), "utf8");
  const deleted = [...text.matchAll(/^\s*(?:rm -rf|forget) (\S+)$/gm)].map((match) => match[1]);
  assert.deepEqual(
    new Set(deleted),
    new Set(['"$1"', "/run/understudy", "/var/lib/understudy", "/etc/understudy"]),
  );
});
