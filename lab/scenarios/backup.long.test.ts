// Every server is lost, and there is a backup. A new server, on which Puppet has begun a CA of its
// own, gets the lost one back and takes it over: agents run with the certificates they had, a
// revoked one stays out, nobody gets a serial that somebody has. The lost server's puppetserver is
// a program that sleeps: of it only the CA is asked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { buildPackage } from "../../packaging/build.ts";
import { Manifest } from "../../src/ca/backup/manifest.ts";
import { type Agent, createAgents } from "../agents.ts";
import { INIT } from "../cluster/commands.ts";
import { makeIdle } from "../cluster/idle.ts";
import { identityOf, knock } from "../cluster/knock.ts";
import { ownNode } from "../cluster/revocation.ts";
import { AUTOSIGNED, writeSite } from "../cluster/site.ts";
import { refused } from "../cluster/world.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";
import { SHARED_NAME } from "../plan.ts";

const CADIR = "/etc/puppet/puppetserver/ca";
const SETUP_MS_MAX = 420_000;
const RUN_MS_MAX = 300_000;
const WORDS = "/root/passphrase";
const FILE = "/root/ca.backup";
const WITH = `--passphrase-file ${WORDS}`;
/** Some agents call the server by another name than the shared one. */
const INIT_SO = INIT.replace(" --vip", " --alt-name old.lab.test --vip");
const RESTORE = `understudy ca restore ${FILE} ${WITH}`;

let lab: Lab;
let s1: LabHost;
let s2: LabHost;
let kept: Agent;
let revoked: Agent;
/** Signed after the backup. */
let late: Agent;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "s2", "a1"] });
  [s1, s2] = [lab.host("s1"), lab.host("s2")];
  await Promise.all(
    [s1, s2].map(async (host) => {
      await writeSite(host);
      await host.installDeb(deb);
      await host.writeFile(WORDS, "correct horse battery staple\n", { mode: 0o600 });
    }),
  );
  await makeIdle(s1);
  await s1.run(INIT_SO, { withinMs: SETUP_MS_MAX });
  const names = ["kept", "revoked", "late"].map((name) => `${name}.${AUTOSIGNED}`);
  [kept, revoked, late] = (await createAgents(lab.host("a1"), names)) as [Agent, Agent, Agent];
  for (const agent of [kept, revoked]) await enrol(agent);
  await s1.run(`understudy ca revoke ${revoked.certname}`);
});

after(async () => lab?.down());

test("a backup is made, checked, and of one's own copy where etcd and the daemon are down", async () => {
  await s1.run(`understudy ca backup ${FILE} ${WITH}`);
  assert.equal((await s1.run(`stat -c '%a %U' ${FILE}`)).trim(), "600 root");
  const manifest = await manifestIn(s1);
  assert.equal(manifest.source, "etcd");
  assert.equal(manifest.revoked, 1);
  await refused(s1, `understudy ca backup ${FILE} ${WITH}`, "ca.file-there", [/--force/]);
  await s1.run("systemctl stop understudy understudy-etcd");
  const said = await s1.exec(`understudy ca backup --force ${FILE} ${WITH}`);
  assert.ok(said.ok, said.stderr);
  assert.match(said.stderr, /! of this server's own copy of the record: /);
  const again = await manifestIn(s1);
  assert.equal(again.source, "copy");
  assert.deepEqual(
    [again.signed, again.revoked, again.crlNumber, again.serialNext],
    [manifest.signed, manifest.revoked, manifest.crlNumber, manifest.serialNext],
  );
  await s1.run("systemctl start understudy-etcd understudy");
});

test("a backup on a full disk leaves nothing, and a restore on a member is refused", async () => {
  await s1.run("mkdir /mnt/small && mount -t tmpfs -o size=8k tmpfs /mnt/small");
  const full = `understudy ca backup /mnt/small/ca.backup ${WITH}`;
  await refused(s1, full, "ca.not-written", [/ENOSPC/, /Nothing is left of it/]);
  assert.equal(await s1.run("ls -A /mnt/small"), "");
  await refused(s1, RESTORE, "ca.restore-refused", [/this server is s1\.lab\.test/, /leave/]);
});

test("on a new server the CA that Puppet made there is moved aside, not lost, and the backup's is back", async () => {
  await enrol(late);
  const archive = Buffer.from(await s1.run(`base64 -w0 ${FILE}`), "base64");
  const authority = await authorityOf(s1);
  await s1.powerCut();
  await s2.writeFile(FILE, archive, { mode: 0o600 });
  await s2.run("puppetserver ca setup");
  const fresh = await authorityOf(s2);
  await refused(s2, RESTORE, "ca.restore-refused", [/another CA/, /--replace/]);
  const wrong = RESTORE.replace(WORDS, "/etc/hostname");
  await refused(s2, wrong, "ca.backup-passphrase", [/Nothing was changed/]);
  const said = await s2.run(`${RESTORE} --replace`);
  assert.ok(said.includes(`\n  ${INIT_SO}\n`), said);
  assert.equal(await authorityOf(s2), authority);
  const [, aside = ""] = /^What was there is in (\S+)\.$/m.exec(said) ?? [];
  assert.equal(await authorityOf(s2, aside), fresh);
  const owners = await s2.run(`stat -c '%U %a' ${CADIR} ${CADIR}/ca_key.pem ${CADIR}/ca_crt.pem`);
  assert.deepEqual(owners.trim().split("\n"), ["puppet 755", "puppet 600", "puppet 644"]);
  await s2.run(INIT_SO, { withinMs: SETUP_MS_MAX });
  const names = await s2.run(
    "openssl x509 -noout -ext subjectAltName -in $(puppet config print hostcert)",
  );
  assert.match(names, /DNS:old\.lab\.test/);
  assert.equal(await authorityOf(s2), authority);
});

test("agents run with the certificates they had, a revoked one is refused, a new one gets a serial above all", async () => {
  const before = await serialOf(kept);
  await runs(kept);
  assert.equal(await serialOf(kept), before);
  assert.equal(await statusFor(revoked), 403);
  const [fresh] = await createAgents(lab.host("a1"), [`fresh.${AUTOSIGNED}`]);
  assert.ok(fresh);
  await runs(fresh);
  assert.ok((await serialOf(fresh)) > (await serialOf(late)));
});

test("a certificate that was signed after the backup stays valid, and can be revoked by its serial", async () => {
  await runs(late);
  assert.equal((await s2.exec(`understudy ca show ${late.certname}`)).ok, false);
  const serial = (await serialOf(late)).toString(16);
  assert.match(await s2.run(`understudy ca revoke --serial ${serial}`), /refused by 1 of 1 edges/);
  assert.equal(await statusFor(late), 403);
  assert.equal(await statusFor(kept), 200);
});

/** What the backup on `host` says of itself. */
async function manifestIn(host: LabHost): Promise<Manifest> {
  const text = await host.run(`understudy ca backup --check ${FILE} ${WITH} --json`);
  return Manifest.extend({ file: z.literal(FILE) }).parse(JSON.parse(text));
}

async function enrol(agent: Agent): Promise<void> {
  const done = await agent.ssl("bootstrap", { withinMs: RUN_MS_MAX });
  assert.ok(done.ok, `${agent.certname}: ${done.stderr}`);
}

async function runs(agent: Agent): Promise<void> {
  const run = await agent.run({ withinMs: RUN_MS_MAX });
  assert.ok(run.ok, `${run.agent}: ${run.because}\n${run.output}`);
}

async function authorityOf(host: LabHost, folder = CADIR): Promise<string> {
  return host.run(`cd ${folder} && sha256sum ca_crt.pem ca_key.pem`);
}

/** The serial of the certificate that the agent has on its own disk. */
async function serialOf(agent: Agent): Promise<bigint> {
  const { certificate } = identityOf(agent);
  const text = await agent.host.run(`openssl x509 -noout -serial -in ${certificate}`);
  return BigInt(`0x${text.trim().replace("serial=", "")}`);
}

async function statusFor(agent: Agent): Promise<number> {
  const url = `https://${SHARED_NAME}:8140${ownNode(agent.certname)}`;
  return (await knock(agent.host, url, { identity: identityOf(agent) })).status;
}
