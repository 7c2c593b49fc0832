// The lab must not lie: a dead server has to be silent, and a cut link cut.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isFault } from "../../src/base/fault.ts";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import { createAgents } from "../agents.ts";
import { watchConnections } from "../cluster/connections.ts";
import { type LabHost, skewEnv } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";
import { identify } from "../process-tree.ts";
import { startProber } from "../prober.ts";
import { readHost } from "../state.ts";

const quiet = () => undefined;
const SOON_MS_MAX = 60_000;
/** Serves `command` at a port: each connection is its input and output. */
async function serve(host: LabHost, port: number, command: string): Promise<void> {
  const listen = `systemd-socket-activate --inetd --accept -l ${port} ${command}`;
  await host.run(`systemd-run --quiet --unit=serve-${port} ${listen}`);
  await host.untilHolds(`ss -Hltn sport = :${port} | grep -q .`);
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
    await serve(s1, 7001, "/bin/cat /usr/bin/etcd");
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
      withinMs: SOON_MS_MAX,
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

  it("startProber and watchConnections see what an agents' host sees", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    await serve(s1, 7002, "/bin/cat");
    const [agent] = await createAgents(s2, ["ag1"]);
    assert.match(await s2.readFile(`${agent?.folder}/puppet.conf`), /certname = ag1\.lab\.test/);
    const probe = { host: "s2", address: s1.address, port: 7002, everyMs: 20 };
    const prober = await startProber(lab, probe);
    const env = { LAB_AGENT: "ag1.lab.test" };
    const held = await s2.start("exec 3<>/dev/tcp/10.88.0.11/7002; sleep 1000", { env });
    await using connections = await watchConnections(lab, probe);
    const open = () => connections.openAt(wallMs());
    await until("the connection of ag1 is listed", () => open().length > 0, {
      withinMs: SOON_MS_MAX,
    });
    assert.deepEqual(open(), ["ag1.lab.test"]);
    assert.equal(prober.soFar().gaps.length, 0);
    await s1.cutLink({ direction: "silent" });
    await until("the prober fails", () => prober.soFar().failed > 2, { withinMs: SOON_MS_MAX });
    await s1.heal();
    await until("the prober succeeds", () => prober.soFar().gaps[0]?.toMs, {
      withinMs: SOON_MS_MAX,
    });
    held.kill();
    const seen = await prober.stop();
    assert.ok(seen.longestGapMs > 0 && seen.failed > 2 && seen.attempts > seen.failed);
  });

  it("powerCut lets no packet out and loses what was not fsynced; boot brings the rest back", async () => {
    const [s1, s2] = [lab.host("s1"), lab.host("s2")];
    await serve(s1, 7003, "/bin/cat");
    const id = (await describeHost(s1)).machineId;
    const held = await s2.start("exec 3<>/dev/tcp/10.88.0.11/7003; sleep 1000");
    const connection = async () => (await s2.run("ss -Htn dst 10.88.0.11:7003")).split(" ")[0];
    await until("the connection", async () => (await connection()) === "ESTAB", {
      withinMs: SOON_MS_MAX,
    });
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
});

async function describeHost(host: LabHost) {
  return {
    state: (await host.run("systemctl is-system-running")).trim(),
    machineId: (await host.readFile("/etc/machine-id")).trim(),
  };
}
