// Upgrades by real apt and dpkg, in a system of their own: what is done, what is left alone, and
// what is said when it can't be. Needs root.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { after, beforeEach, test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import type { PackageStep } from "../cluster/work.ts";
import { readIfThere } from "../host/files.ts";
import { run } from "../host/process.ts";
import { readInstalled } from "./apt.ts";
import { runUpgrade, type UpgradeHost } from "./job.ts";
import { lookForUpgrades } from "./look.ts";
import { readResult, writeOrder } from "./order.ts";
import { type AptRoot, createAptRoot } from "./testing/apt-root.ts";

const EDGE = "understudy-edge.service";
const ETCD = "understudy-etcd.service";
const WAIT = { withinMs: 60_000, everyMs: 50 };
const skip = process.getuid?.() === 0 ? false : "dpkg needs root to give files away";

let apt: AptRoot;
let starts: Map<string, string>;
let renewed: string[];
/** What doesn't come up again. */
let broken: string;
const roots: AptRoot[] = [];
/** Processes of another apt. */
const others: number[] = [];
beforeEach(async () => {
  if (skip !== false) return;
  apt = await createAptRoot();
  roots.push(apt);
  starts = new Map([[EDGE, "1"]]);
  renewed = [];
  broken = "";
});
after(async () => {
  for (const pid of others) end(pid);
  for (const root of roots) await root.remove();
});

function end(pid: number): void {
  try {
    if (pid > 1) process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function host(): UpgradeHost {
  return {
    folder: apt.path(),
    env: apt.env,
    lockS: 1,
    units: {
      start: async (unit) => starts.get(unit) ?? "",
      renew: async (unit) => {
        renewed.push(unit);
        if (unit === broken) throw new Error(`${unit} has failed`);
        starts.set(unit, `${starts.get(unit)}+`);
      },
    },
    log: createLog(() => undefined),
  };
}

async function order(...packages: PackageStep[]): Promise<void> {
  await writeOrder(apt.path(), { key: "k", packages, starts: { [EDGE]: "1" }, tries: 1 });
}

/** A zombie is not. */
async function isThere(pid: number): Promise<boolean> {
  const status = await readIfThere(`/proc/${pid}/status`);
  return status !== undefined && !/^State:\s+Z/m.test(status);
}

const STEP = { name: "haproxy", from: "1.0-1", to: "1.0-2" };
const versions = async (...names: string[]) =>
  (await readInstalled({ env: apt.env }, names)).map(({ name, version }) => `${name} ${version}`);
const look = async () =>
  lookForUpgrades(
    { env: apt.env, refresh: async () => apt.refresh() },
    { parts: ["haproxy", "etcd"], refresh: true },
  );

test(
  "runUpgrade upgrades, keeps an administrator's edits, restarts once what runs it",
  { skip },
  async () => {
    await apt.install({ name: "haproxy", version: "1.0-1", config: "theirs" });
    await apt.install({ name: "etcd-server", version: "3.4-1" });
    await writeFile(apt.path("root/etc/haproxy.conf"), "ours");
    await apt.offer(
      { name: "haproxy", version: "1.0-2", config: "theirs, newer", depends: "libtiny" },
      { name: "libtiny", version: "1" },
      { name: "etcd-server", version: "3.4-2" },
    );
    const seen = await look();
    const added = { name: "libtiny", from: "", to: "1" };
    const etcd = { name: "etcd-server", from: "3.4-1", to: "3.4-2" };
    const byName = (a: PackageStep, b: PackageStep) => (a.name < b.name ? -1 : 1);
    assert.deepEqual(seen.changes.toSorted(byName), [etcd, STEP, added]);
    assert.deepEqual([seen.apt, seen.lists, seen.problem, seen.removes], [true, "", "", []]);

    await order(STEP);
    assert.deepEqual(await runUpgrade(host()), { key: "k", state: "done", because: "" });
    const now = ["etcd-server 3.4-1", "haproxy 1.0-2", "libtiny 1"];
    assert.deepEqual((await versions("haproxy", "etcd-server", "libtiny")).toSorted(), now);
    assert.equal(await readFile(apt.path("root/etc/haproxy.conf"), "utf8"), "ours");
    assert.deepEqual(renewed, [EDGE]);
    assert.equal((await runUpgrade(host()))?.state, "done", "again");
    assert.deepEqual(renewed, [EDGE], "it has started since");
  },
);

test(
  "runUpgrade restarts the others when one doesn't come up, and says which",
  { skip },
  async () => {
    await apt.install({ name: "haproxy", version: "1.0-1" });
    await apt.install({ name: "etcd-server", version: "3.4-1" });
    await apt.offer(
      { name: "haproxy", version: "1.0-2" },
      { name: "etcd-server", version: "3.4-2" },
    );
    await look();
    starts.set(ETCD, "1");
    broken = ETCD;
    const packages = [STEP, { name: "etcd-server", from: "3.4-1", to: "3.4-2" }];
    const each = { [EDGE]: "1", [ETCD]: "1" };
    await writeOrder(apt.path(), { key: "k", packages, starts: each, tries: 1 });
    const result = await runUpgrade(host());
    assert.deepEqual([result?.state, result?.because], ["failed", `${ETCD} has failed`]);
    assert.deepEqual(renewed, [ETCD, EDGE]);
  },
);

test("runUpgrade doesn't start what didn't run", { skip }, async () => {
  await apt.install({ name: "haproxy", version: "1.0-1" });
  await apt.offer({ name: "haproxy", version: "1.0-2" });
  await writeOrder(apt.path(), { key: "k", packages: [STEP], starts: { [EDGE]: "" }, tries: 1 });
  assert.equal((await runUpgrade(host()))?.state, "done");
  assert.deepEqual(renewed, []);
});

test(
  "runUpgrade restarts what a boot has started anew with the former program, once",
  { skip },
  async () => {
    await apt.install({ name: "haproxy", version: "1.0-1" });
    await apt.offer({ name: "haproxy", version: "1.0-2" });
    await order(STEP);
    // It lost power before apt had begun.
    starts.set(EDGE, "2");
    assert.equal((await runUpgrade(host()))?.state, "done");
    assert.deepEqual(renewed, [EDGE]);
    // And again after it.
    starts.set(EDGE, "3");
    assert.equal((await runUpgrade(host()))?.state, "done");
    assert.deepEqual(renewed, [EDGE], "it was booted with the new one");
  },
);

test("runUpgrade says why it can't: no archive, another version, a removal", { skip }, async () => {
  await apt.install({ name: "haproxy", version: "1.0-1" });
  await apt.install({ name: "libtiny", version: "1" });
  await apt.offer({ name: "haproxy", version: "1.0-2" });
  const failsWith = async (step: PackageStep, because: RegExp) => {
    await order(step);
    const result = await runUpgrade(host());
    assert.equal(result?.state, "failed");
    assert.match(result.because, because);
    assert.deepEqual(await readResult(apt.path()), result);
    assert.deepEqual(await versions("haproxy"), ["haproxy 1.0-1"]);
  };
  await failsWith({ ...STEP, to: "1.0-3" }, /^the archive has another version by now/);
  await failsWith({ name: "keepalived", from: "1", to: "2" }, /keepalived isn't installed/);
  await run(["rm", apt.path("archive/haproxy_1.0-2.deb")]);
  await failsWith(STEP, /^an archive can't be reached, or has other versions/);
  await run(["rm", apt.path("archive/Packages")]);
  assert.match((await look()).lists, /./, "lists that can't be read anew are told");
});

test(
  "lookForUpgrades leaves held packages alone, and tells of what is none of it",
  { skip },
  async () => {
    await apt.install({ name: "haproxy", version: "1.0-1" });
    await apt.offer({ name: "haproxy", version: "1.0-2" });
    const env = { ...process.env, ...apt.env };
    await run(["dpkg", "--set-selections"], { env, input: "haproxy hold\n" });
    const { changes, installed } = await look();
    assert.deepEqual(changes, []);
    assert.deepEqual(installed, [{ name: "haproxy", version: "1.0-1", held: true, whole: true }]);
  },
);

test(
  "runUpgrade waits for another apt a while only, and finishes what a crash left",
  { skip },
  async () => {
    await apt.install({ name: "haproxy", version: "1.0-1" });
    const [begun, go] = [apt.path("begun"), apt.path("go")];
    await run(["mkfifo", go]);
    // Stops in the midst of being set up, until it is told to go on; the second time it doesn't.
    const postinst = `[ -e ${begun} ] || { echo $$ $PPID > ${begun}; read -r _ < ${go}; }`;
    await apt.offer({ name: "haproxy", version: "1.0-2", postinst });
    await order(STEP);
    const env = { ...process.env, ...apt.env };
    const other = spawn("apt-get", ["-q", "-y", "install", "haproxy"], { env });
    other.stdout.resume();
    other.stderr.resume();
    const ended = once(other, "exit");
    others.push(other.pid ?? 0);
    // The script and dpkg, which apt gives a session of its own.
    const inMidst = async () => (await readIfThere(begun))?.trim().split(" ").map(Number);
    others.push(...(await until("its midst", inMidst, WAIT)));
    const locked = await runUpgrade(host());
    assert.equal(locked?.state, "failed");
    assert.match(locked.because, /^another program installs packages there/);

    // As a power cut does it: apt, dpkg and the script at once.
    for (const pid of others) end(pid);
    await ended;
    const gone = async () => !(await Promise.all(others.map(isThere))).includes(true);
    await until("the end of all of them", gone, WAIT);
    const [half] = await readInstalled({ env: apt.env }, ["haproxy"]);
    assert.equal(half?.whole, false);
    await order(STEP);
    assert.deepEqual(await runUpgrade(host()), { key: "k", state: "done", because: "" });
    assert.deepEqual(await versions("haproxy"), ["haproxy 1.0-2"]);
    assert.deepEqual(renewed, [EDGE]);
  },
);
