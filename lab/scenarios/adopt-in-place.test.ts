// A running stock primary becomes the first server of a cluster while its agents run back to back:
// same CA, same certificates, no failed run. And back: without the package, stock Puppet goes on
// with that CA.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { DIRECTORY_BLOCK_SIZE } from "../../src/ca/blocks.ts";
import { parseSerialFile } from "../../src/ca/serial.ts";
import { type Agent, type AgentLoop, createAgents, loopAgents } from "../agents.ts";
import { INIT } from "../cluster/commands.ts";
import { cutShort } from "../cluster/cut-short.ts";
import { writeSite } from "../cluster/site.ts";
import { startStock } from "../cluster/stock.ts";
import { worldOf } from "../cluster/world.ts";
import { type Lab, openLab } from "../lab.ts";
import type { LabHost } from "../host.ts";
import { SHARED_NAME, VIRTUAL_ADDRESS } from "../plan.ts";

const CADIR = "/etc/puppet/puppetserver/ca";
const SETUP_MS_MAX = 600_000;
const START_MS_MAX = 320_000;
const RUNS_MS_MAX = 400_000;
/** What is edited, and kept beside as it was. */
const EDITED = [
  "/etc/puppet/puppet.conf",
  "/etc/puppet/puppetserver/conf.d/auth.conf",
  "/etc/puppet/puppetserver/conf.d/webserver.conf",
  "/etc/puppet/puppetserver/services.d/ca.cfg",
];

let lab: Lab;
let s1: LabHost;
let a1: LabHost;
let deb: string;
/**
 * One uses the name that stock certificates carry and puppet takes by default, one the server's
 * own.
 */
let byDefault: Agent;
let byServer: Agent;
let waiting: Agent;
let revoked: Agent;
/** What stock Puppet does to them between an init that was cut short and the next one. */
let signedBetween: Agent;
let revokedBetween: Agent;
let loop: AgentLoop | undefined;

before(async () => {
  deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "a1"] });
  s1 = lab.host("s1");
  a1 = lab.host("a1");
  await writeSite(s1);
  await namesLeadTo(s1.address);
  await s1.run("puppetserver ca setup");
  await s1.run("systemctl enable puppetserver");
  await startStock(s1);
  [byDefault, waiting, signedBetween] = (await make(
    ["first", "waiting", "signed-between"],
    "puppet",
  )) as [Agent, Agent, Agent];
  [byServer, revoked, revokedBetween] = (await make(
    ["second", "revoked", "revoked-between"],
    s1.fqdn,
  )) as [Agent, Agent, Agent];
  const signed = [byDefault, byServer, revoked, revokedBetween];
  const agents = [...signed, waiting, signedBetween];
  await Promise.all(agents.map((agent) => agent.ssl("submit_request")));
  const names = signed.map(({ certname }) => certname).join();
  await s1.run(`puppetserver ca sign --certname ${names}`);
  await Promise.all(signed.map((agent) => agent.ssl("download_cert")));
  await s1.run(`puppetserver ca revoke --certname ${revoked.certname}`);
  for (const agent of [byDefault, byServer]) await runs(agent);
  await s1.installDeb(deb);
});

after(async () => {
  await loop?.stop();
  await lab?.down();
});

test("init --dry-run names what is odd in the CA directory, with what to do, and leaves it alone", async () => {
  const { certname } = revoked;
  const junk = `${CADIR}/signed/junk.lab.test.pem`;
  await s1.run(`echo junk > ${junk}`);
  const world = await worldOf(s1);
  const said = await s1.run(`${INIT} --dry-run`);
  const json = await s1.run(`${INIT} --dry-run --json`);
  assert.equal(await worldOf(s1), world);
  await s1.run(`rm ${junk}`);
  assert.match(said, /has 4 signed, 2 waiting, 1 revoked\. Odd there, but no obstacle:/);
  assert.match(said, /1 file in signed\/ can't be read as a certificate: junk\.lab\.test: /);
  const line = `1 revoked certificate is still in signed/: ${certname}\n .*understudy ca clean NAME`;
  assert.match(said, new RegExp(line));
  const { ca } = JSON.parse(json) as { ca: { oddities: { kind: string; count: number }[] } };
  assert.deepEqual(
    ca.oddities.map(({ kind, count }) => [kind, count]),
    [
      ["revoked-file", 1],
      ["unreadable", 1],
    ],
  );
});

test("init whose step fails gives puppetserver back to the agents, as it was", async () => {
  const originals = await checksums(EDITED);
  await s1.run("systemctl mask --runtime understudy.service");
  const { code, stderr } = await s1.exec(INIT, { withinMs: SETUP_MS_MAX });
  await s1.run("systemctl unmask --runtime understudy.service");
  assert.equal(code, 1, stderr);
  assert.match(stderr, /✓ puppetserver moves behind the edge[\s\S]* ✗ daemon\n/);
  assert.match(stderr, /puppetserver runs as before and serves the agents/);
  assert.equal(await checksums(EDITED), originals);
  const left = EDITED.map((path) => `${path}.before-understudy`).join(" ");
  assert.equal(
    await s1.run(`ls ${left} /run/understudy/puppetserver-stopped 2>/dev/null; true`),
    "",
  );
  await s1.run("! nft list table inet understudy_setup");
  await runs(byDefault);
});

test("what stock Puppet signs and revokes after init was cut off isn't lost", async () => {
  // The CA is in the record by then, and puppetserver's own files are still its own.
  const line = /certificates are in the record; puppetserver stops/;
  await s1.run("sync");
  await cutShort(s1, INIT, [line, "power cut"]);
  await stockServes();
  assert.equal((await s1.exec("systemctl is-enabled understudy.service")).ok, false);
  await s1.run(`puppetserver ca revoke --certname ${revokedBetween.certname}`);
  await cutShort(s1, INIT, [line, "SIGKILL"]);
  await startStock(s1);
  await s1.run(`puppetserver ca sign --certname ${signedBetween.certname}`);
  await signedBetween.ssl("download_cert");
});

test("init on a running primary fails no run of its agents, and keeps CA and certificates", async () => {
  const identities = await agentIdentities();
  const authority = await authorityFiles();
  const originals = await checksums(EDITED);
  // A run that waits at the edge while puppetserver starts isn't a hung one.
  const options = { withinMs: RUNS_MS_MAX };
  const running = (loop = loopAgents([byDefault, byServer], options));
  await until("each agent has run", () => runsOfEach(running) >= 1, { withinMs: RUNS_MS_MAX });
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  const before = runsOfEach(running);
  await until("each agent has run through the edge", () => runsOfEach(running) >= before + 2, {
    withinMs: RUNS_MS_MAX,
  });
  const ended = await running.stop();
  assert.deepEqual(
    ended.filter(({ ok }) => !ok),
    [],
  );
  const report = await s1.readFile("/var/lib/understudy/ca-takeover.json");
  const { oddities } = JSON.parse(report) as { oddities: { kind: string; what: string[] }[] };
  const still = oddities.find(({ kind }) => kind === "revoked-file")?.what;
  assert.deepEqual(still?.toSorted(), [revoked.certname, revokedBetween.certname].toSorted());
  assert.equal(await agentIdentities(), identities);
  assert.equal(await authorityFiles(), authority);
  assert.equal(await checksums(EDITED.map((path) => `${path}.before-understudy`)), originals);
});

test("every name that the server's certificate had is still among its names", async () => {
  const text = await s1.run(
    `openssl x509 -noout -ext subjectAltName -in $(puppet config print hostcert)`,
  );
  for (const name of ["puppet", s1.fqdn, SHARED_NAME]) {
    assert.match(text, new RegExp(`DNS:${name}(,|\\s|$)`));
  }
});

test("agents run through the virtual IP with the certificates they had", async () => {
  await namesLeadTo(VIRTUAL_ADDRESS);
  await runs(byDefault);
});

test("ca list shows who was signed, who waits and who was revoked", async () => {
  const entries = JSON.parse(await s1.run("understudy ca list --all --json")) as {
    name: string;
    state: string;
  }[];
  const states = Object.fromEntries(entries.map(({ name, state }) => [name, state]));
  assert.deepEqual(states, {
    [s1.fqdn]: "signed",
    [byDefault.certname]: "signed",
    [byServer.certname]: "signed",
    [signedBetween.certname]: "signed",
    [waiting.certname]: "requested",
    [revoked.certname]: "revoked",
    [revokedBetween.certname]: "revoked",
  });
});

test("an agent that was revoked before is refused by the edge", async () => {
  for (const agent of [revoked, revokedBetween]) assert.equal(await statusFor(agent), "403");
  for (const agent of [byDefault, signedBetween]) assert.equal(await statusFor(agent), "200");
});

test("init a second time is refused and changes nothing", async () => {
  const world = await worldOf(s1);
  const { code, stdout, stderr } = await s1.exec(INIT);
  assert.equal(code, 1, stdout + stderr);
  assert.match(
    stderr,
    /error setup\.already-member: this server is s1\.lab\.test of puppet\.lab\.test/,
  );
  assert.equal(await worldOf(s1), world);
});

test("removing the package leaves stock Puppet with the same CA, and with what was issued meanwhile", async () => {
  await s1.run(`understudy ca sign ${waiting.certname}`);
  await waiting.ssl("download_cert");
  await s1.run(`understudy ca revoke ${byServer.certname}`);
  const authority = await authorityFiles();
  const next = parseSerialFile(await s1.readFile(`${CADIR}/serial`)) ?? 0;
  const said = await s1.run("dpkg -r understudy 2>&1", { withinMs: START_MS_MAX });
  assert.match(said, /understudy member remove s1\.lab\.test/);
  await namesLeadTo(s1.address);
  await runs(byDefault);
  await runs(waiting);
  for (const agent of [revoked, byServer]) assert.notEqual(await statusFor(agent), "200");
  assert.equal(await authorityFiles(), authority);
  const serials = await issuedSerials();
  await s1.run("puppetserver ca generate --certname later.lab.test");
  const [later = 0] = (await issuedSerials()).filter((serial) => !serials.includes(serial));
  assert.ok(later > Math.max(...serials), `${later} after ${serials.join()}`);
  // Stock counts on from here: behind the block that the daemon kept for it lie the cluster's.
  assert.ok(later >= next + DIRECTORY_BLOCK_SIZE, `${later}, and ${next} was next before`);
});

test("purge deletes our state, says so, and leaves agents working", async () => {
  const puppet = await checksums(["/etc/puppet", "/var/lib/puppet/ssl"]);
  const said = await s1.run("dpkg -P understudy 2>&1");
  assert.match(said, /removed \/var\/lib\/understudy/);
  await s1.run("! ls -d /var/lib/understudy /etc/understudy /run/understudy");
  assert.equal(await checksums(["/etc/puppet", "/var/lib/puppet/ssl"]), puppet);
  await runs(byDefault);
});

/** Agents of a1 that call their server by `server`. */
async function make(names: readonly string[], server: string): Promise<Agent[]> {
  return createAgents(a1, names, { settings: { server, ca_server: server } });
}

/** Has both hosts find the names that agents use at `address`, as DNS would. */
async function namesLeadTo(address: string): Promise<void> {
  const edit = `s/^.* ${SHARED_NAME} puppet$/${address} ${SHARED_NAME} puppet/`;
  for (const host of [s1, a1]) {
    await host.run(`sed "${edit}" /etc/hosts > /etc/hosts.new && cat /etc/hosts.new > /etc/hosts`);
  }
}

/** Waits until the boot has brought puppetserver back. */
async function stockServes(): Promise<void> {
  const active = async () => (await s1.exec("systemctl is-active puppetserver")).ok;
  await until("puppetserver is back", active, { withinMs: START_MS_MAX, everyMs: 500 });
}

async function runs(agent: Agent): Promise<void> {
  const run = await agent.run();
  assert.ok(run.ok, `${run.agent}: ${run.because}\n${run.output}`);
}

/** How many good or bad runs the agent with the fewest has behind it. */
function runsOfEach({ runs: ended }: AgentLoop): number {
  return Math.min(
    ...[byDefault, byServer].map(
      ({ certname }) => ended.filter(({ agent }) => agent === certname).length,
    ),
  );
}

/** Keys and certificates of the agents: whoever enrolled anew would have others. */
async function agentIdentities(): Promise<string> {
  const kept = "/srv/agents/*/ssl/certs/*.pem /srv/agents/*/ssl/private_keys/*.pem";
  return a1.run(`sha256sum ${kept} | sort -k 2`);
}

/** The CA itself; its lists go on changing. */
async function authorityFiles(): Promise<string> {
  return s1.run(`cd ${CADIR} && sha256sum ca_crt.pem ca_key.pem ca_pub.pem`);
}

/** Content of files, or of folders without what puppetserver and puppet write while they run. */
async function checksums(paths: readonly string[]): Promise<string> {
  const found = `find ${paths.join(" ")} -type f -print0 | sort -z`;
  return s1.run(`${found} | xargs -0 sha256sum | cut -d ' ' -f 1`);
}

/** The serials that the inventory lists. */
async function issuedSerials(): Promise<number[]> {
  const lines = (await s1.run(`cat ${CADIR}/inventory.txt`)).trim().split("\n");
  return lines.map((line) => Number.parseInt(line.split(" ")[0] ?? "", 16));
}

/**
 * The HTTP status of a request with an agent's certificate to the server that agents use; "000":
 * none.
 */
async function statusFor(agent: Agent): Promise<string> {
  const ssl = `${agent.folder}/ssl`;
  const name = `${agent.certname}.pem`;
  const tls = `--cacert ${ssl}/certs/ca.pem --cert ${ssl}/certs/${name} --key ${ssl}/private_keys/${name}`;
  const url = `https://puppet:8140/puppet/v3/node/${agent.certname}?environment=production`;
  const { stdout } = await a1.exec(`curl -s -o /dev/null -w '%{http_code}' ${tls} '${url}'`);
  return stdout.trim();
}
