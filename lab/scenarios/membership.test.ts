// Members come and go: votes grow to three, a dead server is taken out and its keys open nothing
// any more, whoever holds them; it comes back and does no harm; a live one leaves; a compiler
// compiles. Puppetserver is a program that sleeps on the servers where nobody asks it anything.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { LEAVES_OF_ROLE } from "../../src/cluster/pki.ts";
import { type Agent, createAgents } from "../agents.ts";
import { INIT, statusOf, URL } from "../cluster/commands.ts";
import { ageLeaves, leafAgeDays } from "../cluster/aged-leaves.ts";
import { findHolder, joinServer } from "../cluster.ts";
import { makeIdle } from "../cluster/idle.ts";
import { type Identity, knock } from "../cluster/knock.ts";
import { AUTOSIGNED, writeSite } from "../cluster/site.ts";
import { refused } from "../cluster/world.ts";
import { type Lab, openLab } from "../lab.ts";
import type { LabHost } from "../host.ts";
import { VIRTUAL_ADDRESS } from "../plan.ts";

const SETUP_MS_MAX = 300_000;
const SETTLE_MS_MAX = 120_000;
/** What a member listens on, and whoever was removed doesn't. */
const OWN_PORTS = /:(8140|8142|9140|9141|9142)\b/;
const SETTLE = { withinMs: SETTLE_MS_MAX, everyMs: 500 };
const CADIR = "/etc/puppet/puppetserver/ca";
const PUPPET_CONFIG =
  "/etc/puppet/puppet.conf /etc/puppet/puppetserver/conf.d /etc/puppet/puppetserver/services.d";
const STOLEN = "/root/stolen";

interface KnockAnswer {
  door: string;
  opens: boolean;
  answer: string;
}

const Tokens = z.array(
  z.object({
    id: z.string(),
    role: z.string(),
    state: z.string(),
    member: z.string().optional(),
  }),
);

let lab: Lab;
let [s1, s2, s3, s4, c1, a1] = [] as unknown as [
  LabHost,
  LabHost,
  LabHost,
  LabHost,
  LabHost,
  LabHost,
];
let agent: Agent;
/** Puppet's configuration of servers before they join. */
let stock: string;

before(async () => {
  const deb = await buildPackage();
  const names = ["s1", "s2", "s3", "s4", "c1", "a1"] as const;
  lab = await openLab({ hosts: names });
  [s1, s2, s3, s4, c1, a1] = names.map((name) => lab.host(name)) as [
    LabHost,
    LabHost,
    LabHost,
    LabHost,
    LabHost,
    LabHost,
  ];
  const members = [s1, s2, s3, s4, c1];
  await Promise.all(
    members.map(async (host) => {
      await writeSite(host);
      await host.installDeb(deb);
    }),
  );
  for (const host of [s2, s3, s4]) await makeIdle(host);
  stock = await checksums(s2, PUPPET_CONFIG);
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  [agent] = (await createAgents(a1, [`one.${AUTOSIGNED}`])) as [Agent];
});

after(async () => lab?.down());

test("tokens are listed without their secrets, and a revoked one is gone", async () => {
  const made = await s1.run("understudy token create --expires 30m --json");
  const { id, token } = z.object({ id: z.string(), token: z.string() }).parse(JSON.parse(made));
  const shown = await s1.run("understudy token list");
  assert.match(shown, new RegExp(`${id} +server +unused +- +in \\d+`));
  assert.ok(!shown.includes(token.split(".")[3] ?? ""));
  const listed = Tokens.parse(JSON.parse(await s1.run("understudy token list --json")));
  assert.deepEqual(listed.find((each) => each.id === id)?.state, "unused");
  await s1.run(`understudy token revoke ${id}`);
  const after = Tokens.parse(JSON.parse(await s1.run("understudy token list --json")));
  assert.ok(!after.some((each) => each.id === id));
  await refused(s1, `understudy token revoke ${id}`, "token.not-found", [/there is no token/]);
});

test("two servers have one vote, three have three, and a fourth is a client of them", async () => {
  await join(s2);
  assert.equal((await statusOf(s1)).etcd.voters, 1);
  await join(s3);
  await votersAre([s1, s2, s3]);
  await join(s4);
  await votersAre([s1, s2, s3]);
  const list = await s4.run("understudy member list");
  assert.match(list, /s4\.lab\.test +server +ready +10\.88\.0\.14 +no /);
  assert.match(list, /s1\.lab\.test +server +ready +10\.88\.0\.11 +(leader|voter) /);
  const run = await agent.run();
  assert.ok(run.ok, `${run.because}\n${run.output}`);
});

test("member remove refuses a stranger's name, silence, and the loss of quorum", async () => {
  await refused(s1, "understudy member remove nobody.lab.test --yes", "member.not-found", []);
  await refused(s1, "understudy member remove s3.lab.test", "cli.not-confirmed", [
    /It answers! .*understudy leave/,
    /held the keys of the Puppet CA/,
    /If it was stolen/,
  ]);
  await s2.run("systemctl stop understudy understudy-etcd");
  const lost = /without s3\.lab\.test only 1 of 2 etcd members would answer/;
  await until("s2 counts as gone", async () => (await statusOf(s1)).etcd.answering === 2, SETTLE);
  await refused(s1, "understudy member remove s3.lab.test --yes", "member.remove-refused", [lost]);
  await s2.run("systemctl start understudy-etcd understudy");
  await votersAre([s1, s2, s3]);
});

test("a dead server is removed, and its keys open no door, whoever has them", async () => {
  await steal(s3);
  const servers = [s1, s2, s4];
  const open = await knockEverywhere(servers);
  assert.deepEqual(
    open.filter(({ opens }) => !opens),
    [],
    "before, they are let in everywhere",
  );
  await s3.powerCut();
  await until("s3 counts as gone", async () => (await statusOf(s1)).etcd.answering === 2, SETTLE);
  const done = await s1.exec("understudy member remove s3.lab.test --yes");
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.match(done.stderr, /doesn't answer: what only it had is lost/);
  assert.match(done.stderr, /held the keys of the Puppet CA/);
  assert.match(done.stdout, /no member of etcd any more/);
  assert.match(done.stdout, /refused by 3 of 3 members/);
  const tokens = Tokens.parse(JSON.parse(await s1.run("understudy token list --json")));
  assert.ok(!tokens.some(({ member }) => member === s3.fqdn), "its token went with it");
  const still = (await knockEverywhere(servers)).filter(({ opens }) => opens);
  assert.deepEqual(still, []);
});

test("the fourth server votes in its place", async () => {
  await votersAre([s1, s2, s4]);
});

test("the removed server boots, stands down, takes no address, and says what is so", async () => {
  await s3.boot();
  const standsDown =
    "systemctl is-active understudy understudy-edge understudy-vip understudy-etcd";
  await until(
    "s3 has stood down",
    async () => {
      const shown = await s3.exec(standsDown);
      return !/^(active|activating|deactivating)$/m.test(shown.stdout);
    },
    SETTLE,
  );
  const holder = await findHolder([s1, s2, s3, s4], VIRTUAL_ADDRESS);
  assert.ok(holder !== undefined && holder !== s3, `the address is at ${holder?.name}`);
  assert.doesNotMatch(await s3.run("ip addr"), /10\.88\.0\.10\//);
  assert.doesNotMatch(await s3.run("ss -Hltn"), OWN_PORTS);
  for (const command of ["status", "ca list", "member list"]) {
    await refused(s3, `understudy ${command}`, "member.removed", [
      /s3\.lab\.test was removed from puppet\.lab\.test/,
      /understudy leave/,
    ]);
  }
  assert.equal((await statusOf(s1)).members.length, 3);
  await s3.powerCut();
  await s3.boot();
  // What it had switched off may not have been on the disk yet: then it stands down anew.
  const closed = async () => !OWN_PORTS.test(await s3.run("ss -Hltn"));
  await until("it has stood down", closed, SETTLE);
});

test("the removed server joins anew once it has been cleaned up, and a compiler at the same moment", async () => {
  const { token } = await createToken();
  const env = { UNDERSTUDY_TOKEN: token };
  await refused(s3, `understudy join ${URL}`, "member.removed", [/understudy leave/], { env });
  await s3.run("understudy leave --yes");
  await refused(s3, `understudy join ${URL}`, "setup.preflight", [/join\.own-ca/], { env });
  await s3.run(`mv ${CADIR} /root/former-ca && mv /var/lib/puppet/ssl /root/former-ssl`);
  const other = await createToken("--role compiler");
  await Promise.all([
    s3.run(`understudy join ${URL}`, { env, withinMs: SETUP_MS_MAX }),
    c1.run(`understudy join ${URL}`, {
      env: { UNDERSTUDY_TOKEN: other.token },
      withinMs: SETUP_MS_MAX,
    }),
  ]);
  assert.equal((await statusOf(s1)).members.length, 5);
  await votersAre([s1, s2, s4]);
});

test("the server that holds the address leaves: the address moves, the cluster forgets it, Puppet's files are back", async () => {
  const leaver = await holderBut(s1);
  const staying = [s1, s2, s3, s4].filter((server) => server !== leaver);
  await votersAre([s1, s2, s4]);
  const done = await leaver.exec("understudy leave --yes", { withinMs: SETUP_MS_MAX });
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /has left puppet\.lab\.test/);
  const holder = async () => findHolder(staying, VIRTUAL_ADDRESS);
  await until("another holds the address", holder, SETTLE);
  assert.deepEqual(
    (await statusOf(s1)).members.map(({ member }) => member.id),
    [c1, ...staying].map(({ fqdn }) => fqdn),
  );
  assert.equal(await checksums(leaver, PUPPET_CONFIG), stock);
  assert.doesNotMatch(await leaver.run("ss -Hltn"), /:(8140|8141|8142|9140|9141|9142)\b/);
  await leaver.run("! ls -d /etc/understudy/node.json /var/lib/understudy/pki");
  const enabled = await leaver.exec("systemctl is-enabled puppetserver");
  assert.equal(enabled.stdout.trim(), "disabled");
  await refused(leaver, "understudy status", "cluster.not-a-member", [/understudy join/]);
  await votersAre(staying);
});

test("a compiler holds no CA, no record, and agents' catalogs are compiled there", async () => {
  const { etcd } = await statusOf(s1);
  assert.equal(etcd.voters, 3);
  await c1.run(`! ls ${CADIR}/ca_key.pem /var/lib/understudy/etcd/data`);
  await c1.run("! find /var/lib/understudy/pki -name '*.key' | grep -E 'authorities|/edge/'");
  assert.doesNotMatch(await c1.run("ss -Hltn"), /:(8140|8142|9141|9142)\b/);
  await until(
    "the edge has the compiler",
    async () => {
      const { members } = await statusOf(s1);
      const backends = members.flatMap(({ local }) => local?.edge?.backends ?? []);
      const seen = backends.filter(({ member, state }) => member === c1.fqdn && state === "up");
      return seen.length === 3;
    },
    SETTLE,
  );
  await s1.run("systemctl stop puppetserver");
  const run = await agent.run();
  assert.ok(run.ok, `${run.because}\n${run.output}`);
  const log = await c1.run("cat /var/log/puppetserver/puppetserver.log");
  assert.match(log, new RegExp(`Compiled catalog for ${agent.certname}`));
});

test("a compiler has its old certificates renewed by a server", async () => {
  const leaves = LEAVES_OF_ROLE.compiler;
  await ageLeaves(c1, s1, leaves);
  await c1.run("systemctl restart understudy");
  const renewed = async () => {
    const ages = await Promise.all(leaves.map(async (leaf) => leafAgeDays(c1, leaf)));
    return ages.every((days) => days < 2);
  };
  await until("new certificates on the compiler", renewed, SETTLE);
});

/** Has `server` join; everything that join itself waits for is done then. */
async function join(server: LabHost): Promise<void> {
  await joinServer(s1, server, () => undefined);
}

async function createToken(options = ""): Promise<{ token: string }> {
  const made = await s1.run(`understudy token create --json ${options}`);
  return z.object({ token: z.string() }).parse(JSON.parse(made));
}

/** Waits until just these vote in etcd, all of them well. */
async function votersAre(servers: readonly LabHost[]): Promise<void> {
  const wanted = servers.map(({ fqdn }) => fqdn).sort();
  const reached = async () => {
    const { members, etcd } = await statusOf(s1);
    const voting = members.filter(({ local }) =>
      ["leader", "voter"].includes(local?.etcd.runs ?? ""),
    );
    const names = voting.map(({ member }) => member.id).sort();
    return (
      names.join() === wanted.join() &&
      etcd.voters === wanted.length &&
      etcd.answering === etcd.voters
    );
  };
  await until(`${wanted.join()} vote`, reached, SETTLE);
}

/** Copies every key that `server` holds to the agents' host, as from its disk. */
async function steal(server: LabHost): Promise<void> {
  const host = (await server.run("puppet config print hostcert hostprivkey")).split("\n");
  const [certificate = "", key = ""] = host.map((line) => line.split(" = ")[1] ?? "");
  const pki = "/var/lib/understudy/pki";
  const files: [string, string][] = [
    ...["etcd", "control", "edge"].flatMap((leaf): [string, string][] => [
      [`${pki}/${leaf}/${leaf}.crt`, `${leaf}.crt`],
      [`${pki}/${leaf}/${leaf}.key`, `${leaf}.key`],
    ]),
    [certificate, "puppet.crt"],
    [key, "puppet.key"],
  ];
  for (const [from, to] of files)
    await a1.writeFile(`${STOLEN}/${to}`, await server.readFile(from));
}

/** Knocks at every door of `servers` that the stolen keys were made for. */
async function knockEverywhere(servers: readonly LabHost[]): Promise<KnockAnswer[]> {
  const knocks: KnockAnswer[] = [];
  const at = async (server: LabHost, port: number, path: string, leaf: string, body?: string) => {
    const door = `${server.name}:${port}`;
    const options = { identity: stolen(leaf), ...(body && { body, method: "POST" }) };
    const { status: code, because } = await knock(
      a1,
      `https://${server.fqdn}:${port}${path}`,
      options,
    );
    knocks.push({ door, opens: code >= 200 && code < 300, answer: `${code} ${because}` });
  };
  const range = JSON.stringify({ key: Buffer.from("understudy/meta").toString("base64") });
  for (const server of servers) {
    const votes = (await server.exec("systemctl is-active understudy-etcd")).ok;
    if (votes) await at(server, 9141, "/v3/kv/range", "etcd", range);
    if (votes) await peerDoor(server, knocks);
    await at(server, 9140, "/v1/local", "control");
    await at(server, 8142, "/puppet-ca/v1/certificate/ca", "edge");
    await at(server, 8140, "/puppet/v3/node/s3.lab.test?environment=production", "puppet");
  }
  await at(s1, 8141, "/status/v1/simple", "edge");
  return knocks;
}

/** etcd's port for its own: it speaks HTTP/1.1, whatever it agrees on in the handshake. */
async function peerDoor(server: LabHost, knocks: KnockAnswer[]): Promise<void> {
  const { certificate, key } = stolen("etcd");
  const url = `https://${server.fqdn}:9142/members`;
  const curl = [
    "curl",
    "-sSk",
    "--http1.1",
    "--max-time",
    "15",
    "--cert",
    certificate,
    "--key",
    key,
  ];
  const { stdout, stderr } = await a1.exec([...curl, "-o", "/dev/null", "-w", "%{http_code}", url]);
  knocks.push({ door: `${server.name}:9142`, opens: stdout === "200", answer: stdout + stderr });
}

function stolen(leaf: string): Identity {
  return { certificate: `${STOLEN}/${leaf}.crt`, key: `${STOLEN}/${leaf}.key` };
}

/** Has the virtual address move away from `server` if that holds it; returns who holds it then. */
async function holderBut(server: LabHost): Promise<LabHost> {
  const others = [s1, s2, s3, s4].filter((each) => each !== server);
  if ((await findHolder([server], VIRTUAL_ADDRESS)) !== undefined) {
    await server.cutLink({ direction: "both" });
    await until("the address moves", async () => findHolder(others, VIRTUAL_ADDRESS), SETTLE);
    await server.heal();
    const lost = async () => (await findHolder([server], VIRTUAL_ADDRESS)) === undefined;
    await until(`${server.name} has heard of it`, lost, SETTLE);
  }
  return until("somebody else holds it", async () => findHolder(others, VIRTUAL_ADDRESS), SETTLE);
}

async function checksums(host: LabHost, paths: string): Promise<string> {
  return host.run(`find ${paths} -type f -print0 | sort -z | xargs -0 sha256sum`);
}
