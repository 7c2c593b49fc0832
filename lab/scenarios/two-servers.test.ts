// Two servers, one vote: what was signed must be on both disks before it is acknowledged, or be
// said to be on one. Then etcd goes back to an older file, and at last the server with the vote is
// gone for good: the other one's copy has it all. Puppetserver is a program that sleeps: only the
// CA is asked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { PATHS } from "../../src/host/paths.ts";
import { type Agent, createAgents } from "../agents.ts";
import { joinServer } from "../cluster.ts";
import { INIT, statusOf } from "../cluster/commands.ts";
import { makeIdle } from "../cluster/idle.ts";
import { writeSite } from "../cluster/site.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";

const SETUP_MS_MAX = 420_000;
const SETTLE = { withinMs: 120_000, everyMs: 500 };
const CALL_MS_MAX = 60_000;
const BOTH = /^2 copies: s1\.lab\.test, s2\.lab\.test$/m;
const NAMES = ["first", "second", "alone", "again", "kept", "refused", "last"] as const;
/** Where an older state of etcd's data is put aside, and the newest. */
const OLDER = "/root/etcd-older";
const NEWEST = "/root/etcd-newest";

let lab: Lab;
let s1: LabHost;
let s2: LabHost;
let agents: Map<string, Agent>;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "s2", "a1"] });
  [s1, s2] = [lab.host("s1"), lab.host("s2")];
  await Promise.all(
    [s1, s2].map(async (host) => {
      await writeSite(host);
      await host.installDeb(deb);
      await makeIdle(host);
    }),
  );
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  await joinServer(s1, s2, () => undefined);
  // No domain that is signed unasked.
  const made = await createAgents(
    lab.host("a1"),
    NAMES.map((name) => name),
  );
  agents = new Map(made.map((agent, index) => [NAMES[index] ?? "", agent]));
  for (const agent of made) {
    const asked = await agent.ssl("submit_request");
    assert.ok(asked.ok, asked.stderr);
  }
});

after(async () => lab?.down());

test("either server's signature is on both disks before it is acknowledged", async () => {
  for (const [host, name] of [
    [s1, "first"],
    [s2, "second"],
  ] as const) {
    assert.match(await host.run(sign(name), { withinMs: CALL_MS_MAX }), BOTH);
    for (const each of [s1, s2]) assert.ok(await hasCopy(each, name), `${name} on ${each.name}`);
  }
});

test("with the other server's daemon stopped the answer says 1 copy, and it catches up", async () => {
  await s2.run("systemctl stop understudy");
  const said = await s1.run(sign("alone"), { withinMs: CALL_MS_MAX });
  assert.match(said, /^1 copy: only s1\.lab\.test has the change on disk/m);
  assert.equal(await hasCopy(s2, "alone"), false);
  await s2.run("systemctl start understudy");
  await until("the copy", async () => hasCopy(s2, "alone"), SETTLE);
});

test("etcd's data from an older file overwrites no copy, and nothing is signed on it", async () => {
  await s1.run(`systemctl stop understudy-etcd && cp -a ${PATHS.etcd} ${OLDER}`);
  await s1.run("systemctl start understudy-etcd");
  await until("the record", async () => (await reachable(s1)) && (await reachable(s2)), SETTLE);
  // Each follows the record by itself, and begins that anew in its own time.
  await s1.run(sign("again"), { withinMs: CALL_MS_MAX });
  await until("s2 follows it", async () => hasCopy(s2, "again"), SETTLE);
  assert.match(await s1.run(sign("kept"), { withinMs: CALL_MS_MAX }), BOTH);

  await swapEtcd(OLDER, NEWEST);
  for (const host of [s1, s2]) {
    await until(`${host.name}'s warning`, async () => warns(host, /kept as it is/), SETTLE);
    const refused = await host.exec(sign("refused"), { withinMs: CALL_MS_MAX });
    assert.equal(refused.code, 1, refused.stdout);
    assert.match(refused.stderr, /^error ca\.record-older: /m);
    assert.ok(await hasCopy(host, "kept"), `kept on ${host.name}`);
  }

  await swapEtcd(NEWEST, `${OLDER}-again`);
  const well = async () => {
    const signed = await s2.exec(sign("refused"), { withinMs: CALL_MS_MAX });
    return signed.ok && BOTH.test(signed.stdout);
  };
  await until("all as before", well, SETTLE);
  assert.equal(await warns(s2, /kept as it is/), false);
});

test("the voter loses power for good right after an acknowledgement: the other one has it all", async () => {
  assert.match(await s1.run(sign("last"), { withinMs: CALL_MS_MAX }), BOTH);
  await s1.powerCut();
  for (const [name, agent] of agents) {
    assert.ok(await hasCopy(s2, name), name);
    const got = async () => (await agent.ssl("download_cert")).ok;
    await until(`the certificate of ${name} from s2`, got, SETTLE);
  }
});

const sign = (name: string) => `understudy ca sign ${agents.get(name)?.certname ?? name}`;

/** Whether this server's own copy of the record has the certificate of `name`. */
async function hasCopy(host: LabHost, name: string): Promise<boolean> {
  const certname = agents.get(name)?.certname ?? name;
  const found = `grep -hF ca/cert/ ${PATHS.journal}/snapshot ${PATHS.journal}/log | grep -qF '${certname}'`;
  return (await host.exec(found)).ok;
}

/** Has s1's etcd run on the data put aside at `on`; what it had goes to `aside`. */
async function swapEtcd(on: string, aside: string): Promise<void> {
  const moves = `mv ${PATHS.etcd} ${aside} && mv ${on} ${PATHS.etcd}`;
  await s1.run(`systemctl stop understudy-etcd && ${moves} && systemctl start understudy-etcd`);
}

async function reachable(host: LabHost): Promise<boolean> {
  const { members } = await statusOf(host);
  return members.every(({ local }) => local?.record.reachable === true);
}

async function warns(host: LabHost, warning: RegExp): Promise<boolean> {
  const { warnings } = await statusOf(host);
  return warnings.some((text) => text.startsWith(host.fqdn) && warning.test(text));
}
