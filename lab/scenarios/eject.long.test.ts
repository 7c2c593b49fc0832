// A running primary is taken over, a second server joins, certificates are issued and revoked; then
// the CA goes back to stock Puppet Server. Stock signs the next serial, agents run at both servers,
// and what either CA revoked stays out. The command is killed on the way, and repeated.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { parseInventory } from "../../src/ca/inventory.ts";
import { parseSerialFile } from "../../src/ca/serial.ts";
import { type Agent, type AgentLoop, createAgents, loopAgents } from "../agents.ts";
import { joinServer } from "../cluster.ts";
import { INIT, statusOf } from "../cluster/commands.ts";
import { cutShort } from "../cluster/cut-short.ts";
import { identityOf, knock } from "../cluster/knock.ts";
import { ownNode } from "../cluster/revocation.ts";
import { AUTOSIGNED, writeSite } from "../cluster/site.ts";
import { startStock } from "../cluster/stock.ts";
import { fails, refused } from "../cluster/world.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";
import { SHARED_NAME } from "../plan.ts";

const CADIR = "/etc/puppet/puppetserver/ca";
const SETUP_MS_MAX = 600_000;
const START_MS_MAX = 320_000;
const RUN_MS_MAX = 400_000;
const SETTLE = { withinMs: 180_000, everyMs: 500 };
const EJECT = "understudy eject --yes";

let lab: Lab;
let s1: LabHost;
let s2: LabHost;
let a1: LabHost;
/** Had its certificate before there was a cluster. */
let first: Agent;
/** Signed by the cluster's CA on s2. */
let second: Agent;
/** Waits for an administrator over the end. */
let waiting: Agent;
let revoked: Agent;
let loop: AgentLoop | undefined;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "s2", "a1"] });
  [s1, s2, a1] = [lab.host("s1"), lab.host("s2"), lab.host("a1")];
  for (const server of [s1, s2]) await writeSite(server);
  await s1.run("puppetserver ca setup");
  await s1.run("systemctl enable puppetserver");
  await startStock(s1);
  const make = async (names: string[], server: string) =>
    createAgents(a1, names, { settings: { server, ca_server: server } });
  [first] = (await make([`first.${AUTOSIGNED}`], s1.fqdn)) as [Agent];
  await runs(first);
  for (const server of [s1, s2]) await server.installDeb(deb);
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  await joinServer(s1, s2, () => undefined);
  [second, revoked] = (await make([`second.${AUTOSIGNED}`, `revoked.${AUTOSIGNED}`], s2.fqdn)) as [
    Agent,
    Agent,
  ];
  [waiting] = (await make(["waiting"], s2.fqdn)) as [Agent];
  for (const agent of [second, revoked]) await runs(agent);
  await waiting.ssl("submit_request");
  const done = await s2.run(`understudy ca revoke ${revoked.certname}`);
  assert.match(done, /refused by 2 of 2 edges/);
});

after(async () => {
  await loop?.stop();
  await lab?.down();
});

test("eject --dry-run says what it means and changes nothing; without quorum it is refused", async () => {
  const said = await s1.run("understudy eject --dry-run");
  assert.match(said, /becomes stock Puppet Server's on s1\.lab\.test: \d+ signed, 1 waiting/);
  assert.match(said, /s2\.lab\.test: no longer a CA/);
  await refused(s1, `${EJECT} --alone`, "eject.refused", [/etcd has its quorum/]);
  await refused(s1, "understudy eject < /dev/null", "cli.not-confirmed", [/--yes/]);
});

test("eject that is killed between its steps, the daemon with it, is finished by the same command: no run fails", async () => {
  const before = await issued();
  const options = { withinMs: RUN_MS_MAX };
  loop = loopAgents([first, second], options);
  await cutShort(s1, EJECT, [/✓ no server of the cluster signs any more/, "SIGKILL"]);
  await s1.run("systemctl kill --signal=SIGKILL understudy");
  const open = async () => /understudy eject/.test((await statusOf(s1)).warnings.join("\n"));
  await until("status says that it isn't finished", () => open().catch(() => false), SETTLE);
  await fails(s2, `understudy ca sign ${waiting.certname}`, "ca.ejected", [/s1\.lab\.test/]);
  await fails(s2, `understudy ca revoke ${second.certname}`, "ca.ejected", [/puppetserver ca/]);
  await cutShort(s1, EJECT, [/✓ the CA directory is stock Puppet Server's/, "SIGKILL", 500]);
  const done = await s1.exec(EJECT, { withinMs: SETUP_MS_MAX });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /is stock Puppet Server's on s1\.lab\.test/);
  await until("a run more of each", () => (loop?.runs.length ?? 0) >= 6, {
    ...SETTLE,
    withinMs: RUN_MS_MAX,
  });
  const ended = await loop.stop();
  loop = undefined;
  assert.deepEqual(
    ended.filter(({ ok }) => !ok).map(({ agent, because }) => `${agent}: ${because}`),
    [],
  );
  const after = await issued();
  for (const serial of before) assert.ok(after.includes(serial), `serial ${serial}`);
});

test("everything that was issued is in the CA directory, and the next serial lies above it", async () => {
  const files = (await s1.run(`ls ${CADIR}/signed`)).split("\n");
  for (const { certname } of [first, second, revoked]) assert.ok(files.includes(`${certname}.pem`));
  assert.match(await s1.run(`ls ${CADIR}/requests`), new RegExp(waiting.certname));
  const next = parseSerialFile(await s1.readFile(`${CADIR}/serial`)) ?? 0;
  assert.ok(next > Math.max(...(await issued())));
});

test("eject again is done already, on another server it is refused, and status says where the CA is", async () => {
  const again = await s1.run(EJECT);
  assert.match(again, /already: nothing to do/);
  await fails(s2, EJECT, "eject.refused", [/was ejected to s1\.lab\.test/]);
  for (const host of [s1, s2]) {
    const text = await host.run("understudy status");
    assert.match(text, /stock's on s1\.lab\.test/);
    const { warnings } = await statusOf(host);
    assert.deepEqual(
      warnings.filter((text) => /\bCA\b|stock/.test(text)),
      [],
    );
  }
  await fails(s1, "understudy ca list", "ca.ejected", []);
  await fails(s2, "understudy ca crl refresh", "ca.ejected", []);
});

test("stock signs the next serial, asked on either server, and the agents run at both", async () => {
  const next = parseSerialFile(await s1.readFile(`${CADIR}/serial`)) ?? 0;
  assert.match(await s2.run("puppetserver ca list"), new RegExp(waiting.certname));
  await s2.run(`puppetserver ca sign --certname ${waiting.certname}`);
  assert.equal(Math.max(...(await issued())), next);
  await runs(waiting);
  const [fresh] = await createAgents(a1, [`fresh.${AUTOSIGNED}`], {
    settings: { server: s2.fqdn, ca_server: s2.fqdn },
  });
  assert.ok(fresh);
  await runs(fresh);
  assert.equal(Math.max(...(await issued())), next + 1);
  for (const agent of [first, second]) await runs(agent);
});

test("CA paths at the second server are answered by the first one's stock CA", async () => {
  const url = (host: LabHost, path: string) => `https://${host.fqdn}:8140${path}`;
  const crl = "/puppet-ca/v1/certificate_revocation_list/ca";
  const [one, two] = [await knock(a1, url(s1, crl)), await knock(a1, url(s2, crl))];
  assert.deepEqual([one.status, two.status], [200, 200]);
  assert.equal(two.body.trim(), (await s1.readFile(`${CADIR}/ca_crl.pem`)).trim());
  const status = "/puppet-ca/v1/certificate_statuses/any";
  assert.equal((await knock(a1, url(s2, status), { identity: identityOf(first) })).status, 403);
  // Nobody else's word counts: only the edge says who an agent is.
  const claimed = ["X-Client-Verify: SUCCESS", `X-Client-DN: CN=${s1.fqdn}`];
  assert.equal((await knock(a1, url(s2, status), { headers: claimed })).status, 403);
});

test("who was revoked before is refused at both servers, and so is whom stock revokes", async () => {
  for (const host of [s1, s2]) assert.equal(await statusFor(revoked, host), 403, host.name);
  for (const host of [s1, s2]) assert.equal(await statusFor(second, host), 200, host.name);
  await s1.run(`puppetserver ca revoke --certname ${second.certname}`);
  for (const host of [s1, s2]) {
    const out = async () => (await statusFor(second, host)) === 403;
    await until(`${host.name} refuses it`, out, SETTLE);
    assert.equal(await statusFor(revoked, host), 403, host.name);
  }
  await s2.run(
    "systemctl stop understudy understudy-edge && rm /var/lib/understudy/edge/revoked.acl",
  );
  await s2.run("systemctl start understudy-edge");
  const back = async () => (await statusFor(first, s2)) === 200;
  await until("the edge is back", back, SETTLE);
  assert.equal(await statusFor(second, s2), 403);
  await s2.run("systemctl start understudy");
});

test("while the server with the CA is down, agents run at the other one, and certificates can be read", async () => {
  await s1.powerCut();
  const [again] = await createAgents(a1, [first.certname], {
    settings: { server: s2.fqdn, ca_server: s2.fqdn },
  });
  assert.ok(again);
  await runs(again);
  const path = `https://${s2.fqdn}:8140/puppet-ca/v1/certificate/ca`;
  const read = async () => (await knock(a1, path)).status === 200;
  await until("the CA's certificate", read, SETTLE);
  await s1.boot();
  const up = async () => {
    const { members } = await statusOf(s2);
    return members.every(({ local }) => local?.edge?.stockCa?.up === true);
  };
  await until("stock's CA is back", up, { ...SETTLE, withinMs: SETUP_MS_MAX });
  const [late] = await createAgents(a1, [`late.${AUTOSIGNED}`], {
    settings: { server: s2.fqdn, ca_server: s2.fqdn },
  });
  assert.ok(late);
  await runs(late);
  assert.match(await s1.run(EJECT), /already: nothing to do/);
});

test("the other server can leave, and without the package stock Puppet goes on with the CA", async () => {
  await fails(s1, "understudy leave --yes", "member.remove-refused", [/has the CA/]);
  const left = await s2.exec("understudy leave --yes", { withinMs: SETUP_MS_MAX });
  assert.equal(left.code, 0, left.stdout + left.stderr);
  assert.doesNotMatch(await s2.run("cat /etc/puppet/puppetserver/services.d/ca.cfg"), CA_ON);
  const serial = await s1.readFile(`${CADIR}/serial`);
  await s1.run("dpkg -r understudy 2>&1", { withinMs: START_MS_MAX });
  assert.match(await s1.run("cat /etc/puppet/puppetserver/services.d/ca.cfg"), CA_ON);
  assert.equal(await s1.readFile(`${CADIR}/serial`), serial);
  // The name leads to the address that went with the cluster.
  const edit = `s/^.* ${SHARED_NAME} puppet$/${s1.address} ${SHARED_NAME} puppet/`;
  await s1.run(`sed "${edit}" /etc/hosts > /etc/hosts.new && cat /etc/hosts.new > /etc/hosts`);
  await s1.run("puppetserver ca generate --certname more.lab.test");
  assert.equal(Math.max(...(await issued())), parseSerialFile(serial));
});

const CA_ON = /^puppetlabs\.services\.ca\.certificate-authority-service/m;

async function runs(agent: Agent): Promise<void> {
  const run = await agent.run({ withinMs: RUN_MS_MAX });
  assert.ok(run.ok, `${run.agent}: ${run.because}\n${run.output}`);
}

/** Every serial in the inventory of s1. */
async function issued(): Promise<number[]> {
  const { lines } = parseInventory(await s1.readFile(`${CADIR}/inventory.txt`));
  return lines.map(({ serial }) => Number.parseInt(serial, 16));
}

async function statusFor(agent: Agent, host: LabHost): Promise<number> {
  const url = `https://${host.fqdn}:8140${ownNode(agent.certname)}`;
  return (await knock(a1, url, { identity: identityOf(agent) })).status;
}
