// How a lab ends: by its owner, by a signal to it at any moment, by the owner's death. Nothing may
// be left on the machine, and nobody may take a lab from those who use it.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { afterEach, test } from "node:test";
import { isFault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { collect, run } from "../../src/host/process.ts";
import { GROUP, hostsFolder, labFolder, PREFIX } from "../instance.ts";
import { openLab, takeLabDown } from "../lab.ts";
import { namespaceOf } from "../plan.ts";
import { identify } from "../process-tree.ts";
import { readHost, readLab } from "../state.ts";

const quiet = () => undefined;
const UP_MS_MAX = 120_000;
const UP = { withinMs: UP_MS_MAX, everyMs: 20 };

/** Opens a lab with a host, says so, and waits for its end. */
const OWNER = `
  const { openLab } = await import("./lab.ts");
  try {
    await openLab({ hosts: ["s1", "s2"], say: () => undefined });
    console.log("up");
    setInterval(() => undefined, 1000);
  } catch (error) {
    console.log(error.code + " " + error.message);
  }`;

/** Does what demo and benches do: agents run and are watched, a server goes off and on again. */
const PROGRAM = `
  const { createAgents, loopAgents } = await import("./agents.ts");
  const { watchConnections } = await import("./cluster/connections.ts");
  const { orInterrupted, runInterruptible } = await import("./interrupt.ts");
  const { openLab } = await import("./lab.ts");
  await runInterruptible(async (signal) => {
    const lab = await openLab({ hosts: ["s1", "a1"], say: () => undefined, signal });
    const work = async () => {
      const agents = await createAgents(lab.host("a1"), ["one", "two"]);
      await using loop = loopAgents(agents);
      const place = { host: "a1", address: "10.88.0.10", port: 8140 };
      await using connections = await watchConnections(lab, place);
      console.log("agents run");
      for (;;) {
        await lab.host("s1").powerCut();
        console.log("off");
        await lab.host("s1").boot();
        console.log("on");
      }
    };
    try {
      await orInterrupted(work(), signal);
    } finally {
      await lab.down();
    }
    return 0;
  });`;

interface Started {
  child: ChildProcess;
  said: () => string;
  /** Exit code and signal. */
  ended: Promise<unknown[]>;
}

/** Starts a program in a process group of its own, as a terminal would. */
function begin(program: string): Started {
  const args = ["--input-type=module", "--eval", program];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
    cwd: new URL("..", import.meta.url),
  });
  const [out, err] = [collect(child.stdout), collect(child.stderr)];
  return { child, said: () => out() + err(), ended: once(child, "exit") };
}

/** Waits until it has printed a line that begins with `text`. */
async function says({ said }: Started, text: string): Promise<void> {
  await until(`the program says ${text}`, () => new RegExp(`^${text}`, "m").test(said()), UP);
}

/** What ^C in a terminal does: everything in the process group gets it. */
function interrupt({ child }: Started): void {
  assert.ok(child.pid !== undefined);
  process.kill(-child.pid, "SIGINT");
}

/**
 * What of a lab is on the machine: namespaces, mounts, loop devices, groups, processes' records.
 */
async function traces(): Promise<string[]> {
  const namespaces = readdirSync("/run/netns").filter((name) => name.startsWith(`${PREFIX}-`));
  const hosts = hostsFolder(labFolder());
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((line) => line.includes(hosts));
  const loops = (await run(["losetup", "-a"])).split("\n").filter((line) => line.includes(hosts));
  const groups = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .filter((line) => / cgroup2? /.test(line))
    .flatMap((line) => readdirSync(line.split(" ")[1] ?? "/"))
    .filter((name) => name === GROUP);
  const folders = existsSync(hosts) ? [hosts] : [];
  return [...namespaces, ...mounts, ...loops, ...groups, ...folders];
}

afterEach(async () => takeLabDown(quiet));

test("down leaves nothing on the machine, however often it is called", async () => {
  const lab = await openLab({ hosts: ["s1"], say: quiet });
  await lab.host("s1").slow({ delayMs: 1 });
  await Promise.all([lab.down(), lab.down()]);
  assert.deepEqual(await traces(), []);
});

test("down in the middle of a boot waits for it to give up, and leaves nothing", async () => {
  const lab = await openLab({ hosts: ["s1"], say: quiet });
  const added = assert.rejects(lab.add("s2", "s3"));
  await until("s3 is plugged in", () => existsSync(`/run/netns/${namespaceOf("s3")}`), UP);
  await lab.down();
  await added;
  assert.deepEqual(await traces(), []);
});

test("openLab refuses a second lab and says who has the first", async () => {
  await using lab = await openLab({ hosts: ["s1"], say: quiet });
  const second = begin(OWNER);
  await second.ended;
  assert.match(second.said(), new RegExp(`^lab\\.busy .*pid ${process.pid} since `));
  assert.equal(await lab.host("s1").isUp(), true);
});

test("openLab takes its lab down when its process gets SIGTERM", async () => {
  const owner = begin(OWNER);
  await says(owner, "up");
  owner.child.kill("SIGTERM");
  assert.deepEqual(await owner.ended, [null, "SIGTERM"]);
  assert.deepEqual(await traces(), []);
});

for (const at of ["agents run", "off", "on"]) {
  test(`a program that is told to end after "${at}" ends with 130 and leaves nothing`, async () => {
    const program = begin(PROGRAM);
    await says(program, at);
    program.child.kill("SIGTERM");
    assert.deepEqual(await program.ended, [130, null], program.said());
    assert.doesNotMatch(program.said(), /error|unhandled/i);
    assert.deepEqual(await traces(), []);
  });
}

test("^C twice in the terminal, while hosts are being started, leaves nothing", async () => {
  const program = begin(PROGRAM);
  await until("a host is plugged in", () => existsSync(`/run/netns/${namespaceOf("a1")}`), UP);
  interrupt(program);
  await says(program, "interrupted");
  interrupt(program);
  assert.deepEqual(await program.ended, [130, null], program.said());
  assert.deepEqual(await traces(), []);
});

test("takeLabDown clears what an owner that was killed left running", async () => {
  const dead = begin(OWNER);
  await says(dead, "up");
  dead.child.kill("SIGKILL");
  await dead.ended;
  const init = (await readHost("s2"))?.init;
  assert.ok(init !== undefined);
  assert.equal(identify(init.pid)?.startTicks, init.startTicks, "a host outlives its owner");
  assert.equal((await readLab())?.owner.pid, dead.child.pid);

  const lab = await openLab({ hosts: ["s3"], say: quiet });
  assert.notEqual(identify(init.pid)?.startTicks, init.startTicks);
  assert.deepEqual(await lab.names(), ["s3"]);
  await lab.down();
  await takeLabDown(quiet);
  assert.deepEqual(await traces(), []);
});

test("a lab that was left to another process is nobody else's while that lives", async () => {
  const user = spawn("sleep", ["1000"]);
  const lab = await openLab({ hosts: ["s1"], say: quiet });
  await lab.leaveUp(user.pid);
  const busy = (error: unknown) =>
    isFault(error, "lab.busy") && error.message.includes(`pid ${user.pid} `);
  await assert.rejects(takeLabDown(quiet), busy);
  await assert.rejects(openLab({ hosts: ["s1"], say: quiet }), busy);
  assert.equal(await lab.host("s1").isUp(), true);
  user.kill("SIGKILL");
  await once(user, "exit");
  await takeLabDown(quiet);
  assert.deepEqual(await traces(), []);
});
