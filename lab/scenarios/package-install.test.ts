// The package on a server with a running stock puppetserver: what installing, upgrading, removing
// and purging change, and what the units' sandboxes let their programs do. No cluster is made here.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { renderEdgeWatch } from "../../src/vip/edge-watch.ts";
import { lives, newLife } from "../cluster/lives.ts";
import { startStock } from "../cluster/stock.ts";
import { type Lab, openLab } from "../lab.ts";
import type { LabHost } from "../host.ts";

const UNITS = ["", "-etcd", "-edge", "-vip", "-files", "-courier"].map(
  (part) => `understudy${part}.service`,
);
const SOCKETS = "understudy-files.socket understudy-courier.socket";
const DATA_PLANE = ["understudy-etcd", "understudy-edge", "understudy-vip"];
const CADIR = "/etc/puppet/puppetserver/ca";
const START_MS_MAX = 240_000;

let lab: Lab;
let s1: LabHost;
let deb: string;

before(async () => {
  deb = await buildPackage();
  lab = await openLab({ hosts: ["s1"] });
  s1 = lab.host("s1");
  await startStock(s1);
});

after(async () => lab?.down());

test("buildPackage gives the same bytes when it builds again", async () => {
  const first = createHash("sha256").update(await readFile(deb));
  await buildPackage({ force: true });
  const second = createHash("sha256").update(await readFile(deb));
  assert.equal(second.digest("hex"), first.digest("hex"));
});

test("installing changes nothing but our own files: Puppet, other units, ports and /etc are as before", async () => {
  await agentRuns();
  const before = await worldOf();
  await s1.installDeb(deb);
  assert.deepEqual(await worldOf(), before);
  await agentRuns();
  for (const unit of UNITS) assert.equal(await isActive(unit), "inactive", unit);
  await s1.run("systemctl preset-all --preset-mode=enable-only");
  assert.doesNotMatch(await s1.run("systemctl list-unit-files 'understudy*'"), /\benabled\b/);
});

test("systemd starts puppetserver again when its start failed, as after a power cut", async () => {
  const folder = "/etc/systemd/system/puppetserver.service.d";
  const fails = "+/bin/sh -c 'test -e /run/failed || { touch /run/failed; exit 1; }'";
  await s1.writeFile(`${folder}/fails-once.conf`, `[Service]\nExecStartPre=${fails}\n`);
  const restart = "systemctl daemon-reload && systemctl restart puppetserver";
  assert.equal((await s1.exec(restart)).ok, false);
  const isBack = async () => (await isActive("puppetserver")) === "active";
  await until("puppetserver is back", isBack, { withinMs: START_MS_MAX });
  await s1.run(`rm -r ${folder} && systemctl daemon-reload`);
});

test("units hold up to systemd's own check", async () => {
  const units = [...UNITS, SOCKETS].join(" ");
  const { code, stdout, stderr } = await s1.exec(`systemd-analyze verify --man=no ${units}`);
  assert.equal(`${code} ${stdout}${stderr}`.trim(), "0");
});

test("a unit that is started on a server that is no member does nothing", async () => {
  await s1.run(`systemctl start ${UNITS.join(" ")} ${SOCKETS}`);
  for (const unit of UNITS) assert.equal(await isActive(unit), "inactive", unit);
  assert.equal((await s1.run("ls /run/understudy")).trim(), "");
});

test("the daemon's sandbox lets it do its job, and not write elsewhere", async () => {
  await s1.writeFile("/etc/understudy/node.json", "{}");
  const said = await probe("understudy.service", [
    "systemctl is-active puppetserver",
    `echo > ${CADIR}/probe && chown puppet:puppet ${CADIR}/probe && rm ${CADIR}/probe`,
    "runuser -u puppet -- true",
    "kill -0 $(systemctl show -P MainPID puppetserver)",
    "touch /run/understudy/probe /var/lib/understudy/probe && rm /run/understudy/probe",
    "systemd-notify --status=here",
    "systemctl enable understudy-vip && systemctl disable understudy-vip",
    "/usr/lib/understudy/node -e 'require(\"os\").networkInterfaces()'",
    "! touch /etc/probe /usr/probe /var/lib/probe",
    "! sysctl -w net.ipv4.ip_forward=1",
  ]);
  assert.deepEqual(said, []);
});

test("the file server's sandbox lets it read what it serves, and neither keys nor the network", async () => {
  const said = await probe("understudy-files.service", [
    `cat ${CADIR}/ca_crt.pem ${CADIR}/ca_crl.pem ${CADIR}/signed/s1.lab.test.pem`,
    `! cat ${CADIR}/ca_key.pem`,
    "! cat /var/lib/puppet/ssl/private_keys/s1.lab.test.pem",
    "! ls /var/lib/understudy",
    `! touch ${CADIR}/probe /run/understudy/probe /tmp/../etc/probe`,
    "! ping -c 1 -W 1 127.0.0.1",
    `test "$LISTEN_FDS" = 1`,
  ]);
  assert.deepEqual(said, []);
  const socket = "stat -c '%U %G %a' /run/understudy/files.sock";
  assert.equal((await s1.run(socket)).trim(), "root haproxy 660");
});

test("etcd, edge and virtual IP run without a daemon, and an upgrade leaves them running", async () => {
  await writeDataPlane();
  await s1.run(`systemctl start ${DATA_PLANE.join(" ")}`);
  const pids = await mainPids();
  const weighed = pids.map((pid) => `cat /proc/${pid.trim()}/autogroup`).join(" && ");
  assert.match(await s1.run(weighed), /^\S+ nice -\d+\n\S+ nice -\d+\n\S+ nice -\d+\n$/);
  await s1.installDeb(deb);
  assert.deepEqual(await mainPids(), pids);
  await s1.run("systemctl reload understudy-edge understudy-vip");
  assert.deepEqual(await mainPids(), pids);
});

test("a reload with a configuration that HAProxy refuses fails, and the edge goes on", async () => {
  const path = "/var/lib/understudy/edge/haproxy.cfg";
  const good = await s1.readFile(path);
  await s1.writeFile(path, `${good}\nnonsense here\n`);
  assert.equal((await s1.exec("systemctl reload understudy-edge")).ok, false);
  await s1.run("curl -sf http://127.0.0.1:18140/");
  await s1.writeFile(path, good);
  await s1.run("systemctl reload understudy-edge");
});

test("the address goes when the edge is stopped, and is back with it", async () => {
  const held = "ip addr show dev eth0 | grep -q 10.88.0.10/";
  await s1.untilHolds(held);
  await s1.run("systemctl stop understudy-edge");
  await s1.untilHolds(`! ${held}`);
  await s1.run("systemctl start understudy-edge");
  await s1.untilHolds(held);
});

test("HAProxy's worker, its master and keepalived come back when they are killed", async () => {
  await s1.run("kill -9 $(pgrep -P $(systemctl show -P MainPID understudy-edge))");
  await s1.untilHolds("curl -sf http://127.0.0.1:18140/");
  await s1.signal("understudy-edge.service", "SIGKILL");
  await s1.untilHolds("curl -sf http://127.0.0.1:18140/");
  await s1.untilHolds("ip addr show dev eth0 | grep -q 10.88.0.10/");
  // The address is away too shortly to be looked for: the kernel tells of it.
  const monitor = await s1.start("exec ip -o monitor address dev eth0", { withinMs: START_MS_MAX });
  const former = await lives(s1, "understudy-vip.service");
  await s1.signal("understudy-vip.service", "SIGKILL");
  await newLife(s1, "understudy-vip.service", former);
  const cleared = () => /^Deleted .*10\.88\.0\.10\//m.test(monitor.output().stdout);
  await until("the address is cleared", cleared, { withinMs: START_MS_MAX });
  monitor.kill();
  await monitor.done;
  await s1.untilHolds("ip addr show dev eth0 | grep -q 10.88.0.10/");
});

test("removing stops and disables our units, frees the address, and leaves Puppet working", async () => {
  await s1.run(`systemctl enable ${UNITS.join(" ")}`);
  const said = await s1.run("dpkg -r understudy 2>&1");
  assert.match(said, /understudy member remove s1\.lab\.test/);
  assert.equal((await s1.run("find /etc/systemd -name 'understudy*'")).trim(), "");
  assert.doesNotMatch(await s1.run("ss -Hltn"), /:(18140|9141|9142)\b/);
  assert.doesNotMatch(await s1.run("ip addr"), /10\.88\.0\.10\//);
  await s1.run("test -d /var/lib/understudy/etcd -a ! -e /run/understudy");
  await agentRuns();
});

test("purge keeps keys that puppetserver's configuration still names, and says so", async () => {
  const named = "/etc/puppet/puppetserver/conf.d/left-behind.conf";
  await s1.writeFile(named, "# /var/lib/understudy/pki/listener\n");
  const said = await s1.run("dpkg -P understudy 2>&1");
  assert.match(said, /kept \/var\/lib\/understudy/);
  assert.match(said, new RegExp(named));
  await s1.run(`test -d /var/lib/understudy/pki && rm ${named}`);
  await s1.installDeb(deb);
});

test("purge deletes our state and users, says so, and touches neither Puppet's CA nor its configuration", async () => {
  const puppet = await checksums("/etc/puppet /var/lib/puppet/ssl");
  const said = await s1.run("dpkg -P understudy 2>&1");
  const users = ["etcd", "files", "courier"].map((name) => `understudy-${name}`);
  for (const gone of ["/var/lib/understudy", ...users.map((user) => `user ${user}`)]) {
    assert.match(said, new RegExp(`removed ${gone}`));
  }
  await s1.run("! ls -d /var/lib/understudy /etc/understudy /run/understudy /usr/lib/understudy");
  for (const user of users) await s1.run(`! getent passwd ${user}`);
  assert.equal(await checksums("/etc/puppet /var/lib/puppet/ssl"), puppet);
  await agentRuns();
});

/**
 * A run of the server's own agent against it; the catalog must be fresh, not from the agent's
 * cache.
 */
async function agentRuns(): Promise<void> {
  const { code, stdout, stderr } = await s1.exec("puppet agent -t --server s1.lab.test --noop");
  assert.ok(code === 0 || code === 2, `${stdout}${stderr}`);
  assert.doesNotMatch(stdout + stderr, /Using cached catalog/i);
}

/**
 * What may not change: ports, units, puppetserver's process, every file in /etc but users and ours.
 */
async function worldOf(): Promise<Record<string, string>> {
  const others = "grep -v understudy";
  return {
    ports: await s1.run("ss -Hltunp | awk '{print $1, $5, $7}' | sort"),
    active: await s1.run(`systemctl list-units --plain --no-legend --type=service | ${others}`),
    enabled: await s1.run(`systemctl list-unit-files --no-legend | ${others}`),
    puppetserver: await s1.run("systemctl show -P MainPID puppetserver"),
    etc: await checksums("/etc"),
  };
}

async function checksums(folders: string): Promise<string> {
  const users =
    "! -name 'passwd*' ! -name 'group*' ! -name 'shadow*' ! -name 'gshadow*' ! -name '.pwd.lock'";
  const files = `find ${folders} -type f ${users} ! -path '/etc/understudy/*' -print0`;
  return s1.run(`${files} | sort -z | xargs -0 sha256sum`);
}

async function isActive(unit: string): Promise<string> {
  return (await s1.exec(`systemctl is-active ${unit}`)).stdout.trim();
}

async function mainPids(): Promise<string[]> {
  return Promise.all(DATA_PLANE.map((unit) => s1.run(`systemctl show -P MainPID ${unit}`)));
}

/**
 * Runs each line of shell inside the unit's own sandbox, as its user. Returns those that failed.
 */
async function probe(unit: string, lines: readonly string[]): Promise<string[]> {
  const folder = `/run/systemd/system/${unit}.d`;
  const script = lines.map((line, i) => `(${line}) >/dev/null || echo "failed: ${i}"`).join("\n");
  await s1.writeFile("/usr/local/bin/understudy-probe", `#!/bin/bash\n${script}\n`, {
    mode: 0o755,
  });
  await s1.writeFile(
    `${folder}/probe.conf`,
    "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\nExecStart=/usr/local/bin/understudy-probe\n",
  );
  const started = await s1.exec(`systemctl daemon-reload && systemctl start ${unit}`);
  const journal = await s1.run(`journalctl -u ${unit} -o cat --no-pager _COMM=understudy-prob`);
  await s1.run(`rm -r ${folder} && systemctl daemon-reload`);
  assert.ok(started.ok, `${started.stderr}\n${await s1.journal(unit)}`);
  return [...journal.matchAll(/failed: (\d+)/g)].map((match) => lines[Number(match[1])] ?? "");
}

/**
 * Configurations without a cluster behind them: one etcd member, an edge that answers, one address.
 */
async function writeDataPlane(): Promise<void> {
  const url = (name: string, port: number) => `ETCD_${name}_URLS=http://127.0.0.1:${port}\n`;
  await s1.writeFile(
    "/var/lib/understudy/etcd/etcd.env",
    "ETCD_NAME=s1\nETCD_DATA_DIR=/var/lib/understudy/etcd/data\n" +
      "ETCD_INITIAL_CLUSTER=s1=http://127.0.0.1:9142\n" +
      url("LISTEN_CLIENT", 9141) +
      url("ADVERTISE_CLIENT", 9141) +
      url("LISTEN_PEER", 9142) +
      url("INITIAL_ADVERTISE_PEER", 9142),
  );
  await s1.writeFile(
    "/var/lib/understudy/edge/haproxy.cfg",
    `global
  user haproxy
  group haproxy
  stats socket /run/understudy/edge-stats.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 1s
  timeout client 30s
  timeout server 30s
frontend agents
  bind 127.0.0.1:18140
  http-request return status 200
`,
  );
  const watch = "/var/lib/understudy/vip/edge-watch";
  await s1.writeFile(watch, renderEdgeWatch(), { mode: 0o755 });
  await s1.writeFile(
    "/var/lib/understudy/vip/keepalived.conf",
    `global_defs {
  enable_script_security
  script_user root
}
vrrp_script edge {
  script "${watch} /run/understudy/edge-stats.sock"
  interval 1
  timeout 3
  fall 1
  rise 1
  init_fail
}
vrrp_instance a {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  version 3
  unicast_src_ip 10.88.0.11
  unicast_peer {
    10.88.0.12
  }
  virtual_ipaddress {
    10.88.0.10/24 dev eth0
  }
  track_script {
    edge
  }
}
`,
  );
}
