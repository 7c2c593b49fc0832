// The server with etcd's only vote is lost, and the other one takes the CA alone: serials and the
// CRL number jump, agents run, stock signs. Then the lost one comes back after all: it hears of it,
// signs no more, and sends its agents there. At last the server with the CA is lost, too.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { ALONE_JUMP } from "../../src/ca/eject.ts";
import { parseSerialFile } from "../../src/ca/serial.ts";
import { type Agent, createAgents } from "../agents.ts";
import { joinServer } from "../cluster.ts";
import { INIT, statusOf } from "../cluster/commands.ts";
import { cutShort } from "../cluster/cut-short.ts";
import { makeIdle } from "../cluster/idle.ts";
import { identityOf, knock } from "../cluster/knock.ts";
import { ownNode } from "../cluster/revocation.ts";
import { AUTOSIGNED, writeSite } from "../cluster/site.ts";
import { fails } from "../cluster/world.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";

const CADIR = "/etc/puppet/puppetserver/ca";
const SETUP_MS_MAX = 600_000;
const RUN_MS_MAX = 400_000;
const SETTLE = { withinMs: 180_000, everyMs: 500 };
const ALONE = "understudy eject --alone --yes";

let lab: Lab;
let s1: LabHost;
let s2: LabHost;
let a1: LabHost;
let kept: Agent;
let revoked: Agent;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "s2", "a1"] });
  [s1, s2, a1] = [lab.host("s1"), lab.host("s2"), lab.host("a1")];
  for (const server of [s1, s2]) {
    await writeSite(server);
    await server.installDeb(deb);
  }
  await makeIdle(s1);
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  await joinServer(s1, s2, () => undefined);
  [kept, revoked] = (await agentsAt(s2, ["kept", "revoked"])) as [Agent, Agent];
  for (const agent of [kept, revoked]) {
    const done = await agent.ssl("bootstrap", { withinMs: RUN_MS_MAX });
    assert.ok(done.ok, done.stderr);
  }
  assert.match(await s1.run(`understudy ca revoke ${revoked.certname}`), /by 2 of 2 edges/);
  await s1.run("sync");
});

after(async () => lab?.down());

test("without quorum eject is refused, and says when --alone is for it", async () => {
  await s1.powerCut();
  const lost = async () => !(await statusOf(s2)).etcd.quorum;
  await until("the quorum is lost", lost, SETTLE);
  await fails(s2, "understudy eject --yes", "eject.refused", [/lost for good: --alone/]);
  const said = await s2.run("understudy eject --alone --dry-run");
  assert.match(said, /s1\.lab\.test \(it doesn't answer\) must not sign any more/);
});

test("eject --alone leaves stock's CA with serials and a CRL number far above, and agents run", async () => {
  const before = await crlNumber();
  await cutShort(s2, ALONE, [/✓ the CA directory is stock Puppet Server's/, "power cut", 1000]);
  const answers = async () => (await s2.exec("understudy status")).ok;
  await until("the daemon answers", answers, SETTLE);
  const done = await s2.exec(ALONE, { withinMs: SETUP_MS_MAX });
  // puppetserver's file may have been written by then, so that the boot has done the rest.
  if (!/already: nothing to do/.test(done.stdout)) {
    assert.equal(done.code, 3, done.stdout + done.stderr);
    assert.match(done.stdout, /s1\.lab\.test doesn't send agents to it yet/);
    assert.match(done.stdout, /no other server of the cluster may sign any more/);
  }
  const next = parseSerialFile(await s2.readFile(`${CADIR}/serial`)) ?? 0;
  assert.ok(next > ALONE_JUMP, `${next}`);
  assert.ok((await crlNumber()) >= before + ALONE_JUMP);
  const run = await kept.run({ withinMs: RUN_MS_MAX });
  assert.ok(run.ok, run.because);
  assert.equal(await statusFor(revoked, s2), 403);
  const [fresh] = (await agentsAt(s2, ["fresh"])) as [Agent];
  assert.ok((await fresh.run({ withinMs: RUN_MS_MAX })).ok);
  const serial = await a1.run(`openssl x509 -noout -serial -in ${identityOf(fresh).certificate}`);
  assert.equal(Number.parseInt(serial.trim().replace("serial=", ""), 16), next);
  assert.match(await s2.run(ALONE), /already: nothing to do/);
});

test("the lost server that comes back signs no more, and its edge asks the CA that there is", async () => {
  await s1.boot();
  const follows = async () => {
    const { members } = await statusOf(s1);
    return members.every(
      ({ local }) => local?.edge?.stockCa?.of === s2.fqdn && local.edge.stockCa.up,
    );
  };
  await until("s1 asks s2's CA", follows, { ...SETTLE, withinMs: SETUP_MS_MAX });
  await fails(s1, `understudy ca revoke ${kept.certname}`, "ca.ejected", [/s2\.lab\.test/]);
  await s1.run(
    "! grep -q '^puppetlabs.*authority-service/' /etc/puppet/puppetserver/services.d/ca.cfg",
  );
  await s2.run(`puppetserver ca revoke --certname ${kept.certname}`);
  for (const host of [s1, s2]) {
    const out = async () => (await statusFor(kept, host)) === 403;
    await until(`${host.name} refuses it`, out, SETTLE);
  }
});

test("the server with the CA is lost too: with quorum it is taken out, then another one has the CA", async () => {
  const before = parseSerialFile(await s2.readFile(`${CADIR}/serial`)) ?? 0;
  await s2.powerCut();
  const silent = async () => (await statusOf(s1)).members.some(({ local }) => local === undefined);
  await until("s2 is silent", silent, SETTLE);
  await fails(s1, ALONE, "eject.refused", [/understudy member remove s2\.lab\.test, then/]);
  await s1.run(`understudy member remove ${s2.fqdn} --yes`, { withinMs: SETUP_MS_MAX });
  await fails(s1, "understudy eject --yes", "eject.refused", [/same command with --alone/]);
  // From here on somebody asks it.
  await s1.run(
    "rm /etc/systemd/system/puppetserver.service.d/idle.conf && systemctl daemon-reload",
  );
  const done = await s1.exec(ALONE, { withinMs: SETUP_MS_MAX });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  const next = parseSerialFile(await s1.readFile(`${CADIR}/serial`)) ?? 0;
  assert.ok(next >= before - 1 + ALONE_JUMP, `${next} after ${before}`);
  const [newest] = (await agentsAt(s1, ["newest"])) as [Agent];
  const run = await newest.run({ withinMs: RUN_MS_MAX });
  assert.ok(run.ok, run.because);
  for (const agent of [kept, revoked]) assert.equal(await statusFor(agent, s1), 403);
  assert.deepEqual(
    (await statusOf(s1)).warnings.filter((text) => /\bCA\b/.test(text)),
    [],
  );
});

async function agentsAt(host: LabHost, names: string[]): Promise<Agent[]> {
  const settings = { server: host.fqdn, ca_server: host.fqdn };
  return createAgents(
    a1,
    names.map((name) => `${name}.${AUTOSIGNED}`),
    { settings },
  );
}

async function crlNumber(): Promise<number> {
  const text = await s2.run(`openssl crl -in ${CADIR}/ca_crl.pem -noout -crlnumber`);
  return Number(/0x[0-9A-F]+/i.exec(text)?.[0] ?? 0);
}

async function statusFor(agent: Agent, host: LabHost): Promise<number> {
  const url = `https://${host.fqdn}:8140${ownNode(agent.certname)}`;
  return (await knock(a1, url, { identity: identityOf(agent) })).status;
}
