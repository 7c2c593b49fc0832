// A server that is a member of a cluster loses its daemon for good, boots without it, and then
// loses the package: what serves agents comes up without the daemon, and stock Puppet goes on
// without any of it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { startStock } from "../cluster/stock.ts";
import { type Lab, openLab } from "../lab.ts";
import type { LabHost } from "../host.ts";

const CONFIGURATION = "/etc/puppet/puppetserver/conf.d /etc/puppet/puppetserver/services.d";
const INIT_MS_MAX = 300_000;
const START_MS_MAX = 240_000;

let lab: Lab;
let s1: LabHost;
let stock: string;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1"] });
  s1 = lab.host("s1");
  await startStock(s1);
  stock = await checksums();
  await s1.installDeb(deb);
  const options = "--vip 10.88.0.10/24 --vip 10.88.0.20/24 --accept-proxy 127.0.0.1";
  const init = `understudy init --name puppet.lab.test ${options} --isolated-edge refuse`;
  await s1.run(init, { withinMs: INIT_MS_MAX });
});

after(async () => lab?.down());

test("agents run through the edge of a member made by init", async () => {
  await agentRuns("puppet.lab.test");
  assert.notEqual(await checksums(), stock);
});

test("both virtual IPs are served, and a PROXY header is taken from whom it may come only", async () => {
  const ca = ":8140/puppet-ca/v1/certificate/ca";
  for (const address of ["10.88.0.10", "10.88.0.20"]) {
    await s1.untilHolds(`ip addr show dev eth0 | grep -q ${address}/`);
    await s1.untilHolds(`curl -skf https://${address}${ca} | grep -q 'BEGIN CERTIFICATE'`);
    await s1.run(`! curl -skf --haproxy-protocol https://${address}${ca}`);
  }
  await s1.untilHolds(`curl -skf --haproxy-protocol https://127.0.0.1${ca}`);
  await s1.run(`! curl -skf https://127.0.0.1${ca}`);
});

test("after a power cut, edge, address, etcd and file server come up although the daemon never does", async () => {
  await s1.run("systemctl disable understudy.service && sync");
  await s1.powerCut();
  await s1.boot();
  await startStock(s1);
  assert.equal((await s1.exec("systemctl is-active understudy.service")).stdout.trim(), "inactive");
  for (const unit of [
    "understudy-etcd.service",
    "understudy-edge.service",
    "understudy-vip.service",
  ]) {
    await s1.run(["systemctl", "is-active", unit]);
  }
  await s1.run("systemctl is-active understudy-files.socket");
  await s1.untilHolds("ip addr show dev eth0 | grep -q 10.88.0.10/");
  const ca = "https://puppet.lab.test:8140/puppet-ca/v1/certificate/ca";
  await s1.untilHolds(`curl -skf ${ca} | grep -q 'BEGIN CERTIFICATE'`);
  await agentRuns("puppet.lab.test");
});

test("set to refuse, an edge takes no agents until it can read the record", async () => {
  const answers = "curl -sk -o /dev/null https://s1.lab.test:8140/";
  const since = async () => s1.run("date '+%F %T'");
  const cases: [breaks: string, mends: string, said: RegExp][] = [
    [
      "systemctl stop understudy-etcd",
      "systemctl start understudy-etcd",
      /takes no agents yet \(isolated-edge: refuse\)/,
    ],
    // Broken itself, it can't say so; its unit waits all the same.
    [
      "mv /usr/bin/understudy /root/understudy",
      "mv /root/understudy /usr/bin/understudy",
      /No such file or directory/,
    ],
  ];
  for (const [breaks, mends, said] of cases) {
    const start = (await since()).trim();
    await s1.run(breaks);
    await s1.run("systemctl restart --no-block understudy-edge");
    const journal = `journalctl -u understudy-edge -o cat --no-pager --since '${start}'`;
    await until("the edge says why it waits", async () => said.test(await s1.run(journal)), {
      withinMs: START_MS_MAX,
    });
    await s1.run(`! ${answers}`);
    await s1.run(mends);
    await s1.untilHolds(answers, START_MS_MAX);
  }
});

test("removing the package of a member puts puppetserver back as it was, and agents run on", async () => {
  const said = await s1.run("dpkg -r understudy 2>&1", { withinMs: START_MS_MAX });
  assert.match(said, /understudy member remove s1\.lab\.test/);
  assert.equal(await checksums(), stock);
  assert.match(await s1.run("ss -Hltn"), /:8140\b/);
  assert.doesNotMatch(await s1.run("ss -Hltn"), /:(8141|8142|9140|9141|9142)\b/);
  assert.doesNotMatch(await s1.run("ip addr"), /10\.88\.0\.10\//);
  await agentRuns("s1.lab.test");
});

test("purge of a former member leaves no state of ours, and Puppet as it was", async () => {
  await s1.run("dpkg -P understudy 2>&1");
  await s1.run("! ls -d /var/lib/understudy /etc/understudy /run/understudy");
  assert.equal(await checksums(), stock);
  await agentRuns("s1.lab.test");
});

/** A run of the server's own agent; the catalog must be fresh, not from the agent's cache. */
async function agentRuns(server: string): Promise<void> {
  const { code, stdout, stderr } = await s1.exec(`puppet agent -t --server ${server} --noop`);
  assert.ok(code === 0 || code === 2, `${stdout}${stderr}`);
  assert.doesNotMatch(stdout + stderr, /Using cached catalog/i);
}

/** Puppet Server's configuration, without what was kept beside it. */
async function checksums(): Promise<string> {
  const files = `find ${CONFIGURATION} -type f ! -name '*understudy*' -print0`;
  return s1.run(`${files} | sort -z | xargs -0 sha256sum`);
}
