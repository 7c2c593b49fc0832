// What the lab reads from the kernel and apt, in one table per reader.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../src/base/fault.ts";
import { renderAgentConf } from "./agents.ts";
import { parseIndexTargets } from "./base.ts";
import { parseHierarchies } from "./cgroups.ts";
import { enterArgs, runToEnd } from "./exec.ts";
import { parseSetElements } from "./network.ts";
import { identify, isAlive, parseStat } from "./process-tree.ts";
import { identifyOwner } from "./state.ts";

test("parseIndexTargets keeps Debian's files, each once", () => {
  const text = [
    "Debian|/etc/apt/sources.list.d/debian.sources:1",
    "Debian|/etc/apt/sources.list.d/debian.sources:2",
    "Node Source|/etc/apt/sources.list.d/node.sources:1",
    "Debian|/etc/apt/sources.list:3",
    "",
  ].join("\n");
  const expected = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
  assert.deepEqual(parseIndexTargets(text), expected);
});

test("parseHierarchies finds the unified one, and systemd's on hybrid machines", () => {
  const hybrid = [
    "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0",
    "cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,xattr,name=systemd 0 0",
    "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0",
  ].join("\n");
  assert.deepEqual(parseHierarchies(hybrid), ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]);
  const unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\nproc /proc proc rw 0 0\n";
  assert.deepEqual(parseHierarchies(unified), ["/sys/fs/cgroup"]);
});

test("parseStat copes with any command name and takes zombies for gone", () => {
  const rest = Array.from({ length: 30 }, (_, index) => `${index + 4}`).join(" ");
  assert.deepEqual(parseStat(7, `7 (a) S) b) S ${rest}`), { pid: 7, startTicks: 22 });
  assert.equal(parseStat(7, `7 (x) Z ${rest}`), undefined);
  assert.equal(parseStat(7, ""), undefined);
});

test("isAlive tells this process from one with its number and another start", () => {
  const self = identify(process.pid);
  assert.ok(self !== undefined && isAlive(self));
  assert.equal(isAlive({ ...self, startTicks: self.startTicks + 1 }), false);
});

test("identifyOwner says what a process runs, without the options of what runs it", () => {
  const owner = identifyOwner(process.pid);
  assert.ok(isAlive(owner));
  assert.match(owner.command, /^\S*lab\/parse\.test\.ts/);
  assert.throws(
    () => identifyOwner(4_194_305),
    (error) => isFault(error, "lab.no-process"),
  );
});

test("parseSetElements reads nft's JSON, with and without elements", () => {
  const set = { name: "to", elem: ["s1", "s1-r"] };
  assert.deepEqual(parseSetElements(JSON.stringify({ nftables: [{ metainfo: {} }, { set }] })), [
    "s1",
    "s1-r",
  ]);
  assert.deepEqual(parseSetElements('{"nftables":[{"set":{"name":"to"}}]}'), []);
});

test("renderAgentConf keeps everything of an agent in its own folder, and lets settings win", () => {
  const conf = renderAgentConf("ag1.lab.test", { settings: { ca_server: "s1.lab.test" } });
  assert.match(conf, /^\[main\]\ncertname = ag1\.lab\.test\n/);
  assert.match(conf, /^ssldir = \/srv\/agents\/ag1\.lab\.test\/ssl$/m);
  assert.match(conf, /^server = puppet\.lab\.test$/m);
  assert.match(conf, /^ca_server = s1\.lab\.test$/m);
  assert.equal(conf.match(/^ca_server/gm)?.length, 1);
});

test("enterArgs runs argv as it is and a string through bash, in a clean environment", () => {
  const argv = enterArgs(42, ["echo", "a b"], { X: "1" });
  assert.deepEqual(argv.slice(0, 3), ["nsenter", "-t", "42"]);
  assert.deepEqual(argv.slice(-2), ["echo", "a b"]);
  assert.ok(argv.includes("-i") && argv.includes("X=1") && argv.includes("HOME=/root"));
  assert.deepEqual(enterArgs(42, "exit 3").slice(-3), ["bash", "-c", "exit 3"]);
});

test("runToEnd ends a program that takes too long together with its children", async () => {
  const result = await runToEnd(["sh", "-c", "sleep 4321 & echo $!; wait"], { withinMs: 200 });
  assert.equal(result.timedOut, true);
  assert.equal(identify(Number(result.stdout)), undefined);
});

test("runToEnd gives back input, code, output and error", async () => {
  const result = await runToEnd(["sh", "-c", "cat; echo bad >&2; exit 3"], { input: "x" });
  assert.deepEqual(
    [result.code, result.stdout, result.stderr, result.ok],
    [3, "x", "bad\n", false],
  );
});
