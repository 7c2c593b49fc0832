// The lab must not lie: a dead server has to be silent, a cut link cut, and nothing may be left
// behind.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isFault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { run } from "../../src/host/process.ts";
import { createAgents, listConnections } from "../agents.ts";
import { skewEnv } from "../host.ts";
import { GROUP, hostsFolder, labFolder, PREFIX } from "../instance.ts";
import { type Lab, openLab, takeLabDown } from "../lab.ts";
import { identify } from "../process-tree.ts";
import { startProber } from "../prober.ts";
import { readHost, readLab } from "../state.ts";

const quiet = () => undefined;
/** A server for one line of work: `command` with each connection as its input and output. */
const serve = (port: number, command: string) =>
  `systemd-run --quiet --unit=serve-${port} \\
     systemd-socket-activate --inetd --accept -l ${port} ${command}
   for i in $(seq 100); do ss -Hltn sport = :${port} | grep -q . && exit; sleep 0.05; done; exit 1`;

/** A process that opens a lab with `hosts`, says so, and waits to be killed. */
function owner(hosts: string[]) {
  const lab = JSON.stringify(join(import.meta.dirname, "..", "lab.ts"));
  const program = `
    const { openLab } = await import(${lab});
    try {
      await openLab({ hosts: ${JSON.stringify(hosts)}, say: () => undefined });
      console.log("up");
      setInterval(() => undefined, 1000);
    } catch (error) {
      console.log(error.code + " " + error.message);
    }`;
  const args = ["--input-type=module", "--eval", program];
  return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
}

async function firstLine(child: ReturnType<typeof owner>): Promise<string> {
  const [data] = (await once(child.stdout, "data")) as [Buffer];
  return data.toString().trim();
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

describe("two hosts of a lab", () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab({ hosts: ["s1", "s2"], say: quiet });
  });
  after(async () => {
    await lab.down();
  });

  const ping = async () => lab.host("s2").exec("ping -c 1 -W 1 s1");

  it("exec gives code, output and error of argv and of scripts", async () => {
    const s1 = lab.host("s1");
    const script = await s1.exec("hostname -f; echo oops >&2; exit 7");
    assert.deepEqual([script.code, script.stdout, script.stderr], [7, "s1.lab.test\n", "oops\n"]);
    assert.equal(await s1.run(["echo", "$HOME"]), "$HOME\n");
    assert.equal(await s1.run(["cat"], { input: "given" }), "given");
    await assert.rejects(s1.run("echo why; false"), (error) =>
      isFault(error, "lab.command-failed"),
    );
  });

  it("exec ends a command that takes too long, with its children", async () => {
    const s1 = lab.host("s1");
    const result = await s1.exec("sleep 4321 & sleep 4321", { withinMs: 300 });
    assert.equal(result.timedOut, true);
    assert.equal((await s1.exec("pgrep -f 'sleep 432[1]'")).stdout, "");
  });

  it("writeFile and readFile keep bytes, mode and owner", async () => {
    const s1 = lab.host("s1");
    await s1.writeFile("/etc/new/folder/x", "ä\n\u0000end", {
      mode: 0o640,
      owner: "puppet:puppet",
    });
    assert.equal(await s1.readFile("/etc/new/folder/x"), "ä\n\u0000end");
    assert.equal(await s1.run("stat -c '%a %U' /etc/new/folder/x"), "640 puppet\n");
  });

  it("hosts are Debian servers of their own: systemd, services, machine-id, names", async () => {
    const [one, two] = await Promise.all(
      ["s1", "s2"].map((name) => lab.host(name)).map(describeHost),
    );
    assert.equal(one?.state, "running");
    assert.notEqual(one?.machineId, two?.machineId);
    assert.equal((await ping()).code, 0);
  });

  it("cutLink in one direction drops just that one", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    const arrived = async () =>
      Number(/IcmpInEchos\s+(\d+)/.exec(await s1.run("nstat -asz IcmpInEchos"))?.[1]);
    const cases = [
      { direction: "in", arrives: 1, link: { plugged: true, dropped: ["in"] } },
      { direction: "out", arrives: 0, link: { plugged: true, dropped: ["out"] } },
      { direction: "silent", arrives: 0, link: { plugged: true, dropped: ["in", "out"] } },
      { direction: "both", arrives: 0, link: { plugged: false, dropped: [] } },
    ] as const;
    for (const { direction, arrives, link } of cases) {
      assert.equal((await ping()).code, 0, `before ${direction}`);
      const before = await arrived();
      await s2.cutLink({ direction });
      assert.notEqual((await ping()).code, 0, direction);
      assert.equal((await arrived()) - before, arrives, direction);
      assert.deepEqual(await s2.link(), { ...link, slow: false });
      await s2.heal();
    }
    assert.equal((await ping()).code, 0);
  });

  it("slow delays packets, loses some, and breaks none", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    await s1.run(serve(7001, "/bin/cat /usr/bin/etcd"));
    const fetch = "cat < /dev/tcp/10.88.0.11/7001 | sha256sum";
    const whole = await s1.run("sha256sum < /usr/bin/etcd");
    await s1.slow({ delayMs: 30 });
    assert.equal((await s1.link()).slow, true);
    const rtt = Number(/time=([\d.]+) ms/.exec((await ping()).stdout)?.[1]);
    assert.ok(rtt >= 60, `a round trip took ${rtt} ms`);
    assert.equal(await s2.run(fetch), whole);
    await s1.slow({ lossPercent: 100 });
    assert.notEqual((await ping()).code, 0);
    await s1.unslow();
    assert.equal(await s2.run(fetch), whole);
  });

  it("fillDisk leaves no block, for that host only, and freeDisk gives them back", async () => {
    const s1 = lab.host("s1");
    const write = "head -c 100000 /dev/zero > /var/lib/probe && sync /var/lib/probe";
    await s1.fillDisk();
    assert.match((await s1.exec(write)).stderr, /No space left on device/);
    assert.equal((await lab.host("s2").exec(write)).code, 0);
    await s1.freeDisk();
    assert.equal((await s1.exec(write)).code, 0);
  });

  it("signal stops, continues and kills a unit's processes", async () => {
    const s1 = lab.host("s1");
    const main = async () => (await s1.run("systemctl show -P MainPID haproxy")).trim();
    const states = async () => (await s1.run("ps -C haproxy -o stat=")).split("\n").filter(Boolean);
    await s1.signal("haproxy", "SIGSTOP", "all");
    assert.ok((await states()).every((state) => state.startsWith("T")));
    await s1.signal("haproxy", "SIGCONT", "all");
    assert.ok((await states()).every((state) => !state.startsWith("T")));
    const former = await main();
    await s1.signal("haproxy", "SIGKILL");
    await until("systemd starts haproxy again", async () => !["0", former].includes(await main()), {
      withinMs: 20_000,
    });
    assert.match(await s1.journal("haproxy"), /killed/i);
  });

  it("skewClock and skewEnv change the time that units and commands see, and nothing else", async () => {
    const s1 = lab.host("s1");
    const seconds = async (command: string, env = {}) => Number(await s1.run(command, { env }));
    const now = await seconds("date +%s");
    assert.ok((await seconds("date +%s", skewEnv("+10m"))) >= now + 600);
    const unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'date +%%s > /run/clock'\n";
    await s1.writeFile("/etc/systemd/system/clock.service", unit);
    await s1.skewClock("-2h", ["clock"]);
    assert.ok((await seconds("systemctl start clock; cat /run/clock")) < now);
    await s1.skewClock(undefined, ["clock"]);
    assert.ok((await seconds("systemctl start clock; cat /run/clock")) >= now);
  });

  it("startProber and listConnections see what an agents' host sees", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    await s1.run(serve(7002, "/bin/cat"));
    const [agent] = await createAgents(s2, ["ag1"]);
    assert.match(await s2.readFile(`${agent?.folder}/puppet.conf`), /certname = ag1\.lab\.test/);
    const probe = { host: "s2", address: s1.address, port: 7002, everyMs: 20 };
    const prober = await startProber(lab, probe);
    const env = { LAB_AGENT: "ag1.lab.test" };
    const held = await s2.start("exec 3<>/dev/tcp/10.88.0.11/7002; sleep 1000", { env });
    const open = await until(
      "the connection of ag1 is listed",
      async () => (await listConnections(s2, s1.address)).find((one) => one.agent !== ""),
      { withinMs: 10_000 },
    );
    assert.equal(open.agent, "ag1.lab.test");
    assert.equal(prober.soFar().gaps.length, 0);
    await s1.cutLink({ direction: "silent" });
    await until("the prober fails", () => prober.soFar().failed > 2, { withinMs: 10_000 });
    await s1.heal();
    await until("the prober succeeds", () => prober.soFar().gaps[0]?.toMs, { withinMs: 10_000 });
    held.kill();
    const seen = await prober.stop();
    assert.ok(seen.longestGapMs > 0 && seen.failed > 2 && seen.attempts > seen.failed);
  });

  it("powerCut lets no packet out and loses what was not fsynced; boot brings the rest back", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    await s1.run(serve(7003, "/bin/cat"));
    const id = (await describeHost(s1)).machineId;
    const held = await s2.start("exec 3<>/dev/tcp/10.88.0.11/7003; sleep 1000");
    const connection = async () => (await s2.run("ss -Htn dst 10.88.0.11:7003")).split(" ")[0];
    await until("the connection", async () => (await connection()) === "ESTAB", { withinMs: 9000 });
    await s1.run("echo kept > /var/lib/kept; sync /var/lib/kept; echo lost > /var/lib/lost");
    const init = (await readHost("s1"))?.init;
    assert.ok(init !== undefined);

    await s1.powerCut();

    assert.equal(identify(init.pid)?.startTicks === init.startTicks, false);
    assert.equal(await s1.isUp(), false);
    await assert.rejects(s1.exec("true"), (error) => isFault(error, "lab.host-down"));
    assert.equal(await connection(), "ESTAB", "no FIN and no RST may have come");
    // A reset would end this at once with code 1; silence leaves it to its limit.
    assert.equal((await s2.exec("timeout 2 bash -c '< /dev/tcp/10.88.0.11/7003'")).code, 124);
    await s2.run("ip neigh flush all");
    assert.notEqual((await ping()).code, 0);
    assert.doesNotMatch(await s2.run("ip neigh show 10.88.0.11"), /REACHABLE|lladdr/);

    await s1.boot();
    held.kill();
    assert.equal((await ping()).code, 0);
    assert.equal((await describeHost(s1)).machineId, id);
    assert.equal(await s1.readFile("/var/lib/kept"), "kept\n");
    assert.notEqual((await s1.exec("grep lost /var/lib/lost")).code, 0);
  });

  it("openLab refuses a second lab and says who has the first", async () => {
    const second = owner(["s1"]);
    const said = await firstLine(second);
    assert.match(said, new RegExp(`^lab\\.busy .*pid ${process.pid} since `));
    await once(second, "exit");
    assert.equal(await lab.host("s1").isUp(), true);
  });
});

describe("the end of a lab", () => {
  it("down leaves nothing on the machine", async () => {
    const lab = await openLab({ hosts: ["s1"], say: quiet });
    await lab.host("s1").slow({ delayMs: 1 });
    await lab.down();
    assert.deepEqual(await traces(), []);
  });

  it("openLab takes its lab down when its process gets SIGTERM", async () => {
    const ended = owner(["s1"]);
    assert.equal(await firstLine(ended), "up");
    ended.kill("SIGTERM");
    assert.deepEqual(await once(ended, "exit"), [null, "SIGTERM"]);
    assert.deepEqual(await traces(), []);
  });

  it("takeLabDown clears what an owner that was killed left running", async () => {
    const dead = owner(["s1", "s2"]);
    assert.equal(await firstLine(dead), "up");
    dead.kill("SIGKILL");
    await once(dead, "exit");
    const init = (await readHost("s2"))?.init;
    assert.ok(init !== undefined);
    assert.equal(identify(init.pid)?.startTicks, init.startTicks, "a host outlives its owner");
    assert.equal((await readLab())?.owner.pid, dead.pid);

    const lab = await openLab({ hosts: ["s3"], say: quiet });
    assert.notEqual(identify(init.pid)?.startTicks, init.startTicks);
    assert.deepEqual(await lab.names(), ["s3"]);
    await lab.down();
    await takeLabDown(quiet);
    assert.deepEqual(await traces(), []);
  });
});

async function describeHost(host: ReturnType<Lab["host"]>) {
  return {
    state: (await host.run("systemctl is-system-running")).trim(),
    machineId: (await host.readFile("/etc/machine-id")).trim(),
  };
}
