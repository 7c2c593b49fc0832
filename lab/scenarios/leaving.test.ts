// Two servers, agents without pause: the one with the only vote leaves. No run fails, and the other
// has the vote then. Before that, the second joins with its token on the command line, and what
// can't be is refused.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { buildPackage } from "../../packaging/build.ts";
import { until } from "../../src/base/retry.ts";
import { type Agent, createAgents, loopAgents } from "../agents.ts";
import { findHolder } from "../cluster.ts";
import { INIT, statusOf, URL } from "../cluster/commands.ts";
import { exchange } from "../cluster/exchange.ts";
import { AUTOSIGNED, writeSite } from "../cluster/site.ts";
import { refused } from "../cluster/world.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";
import { SHARED_NAME, VIRTUAL_ADDRESS } from "../plan.ts";

const SETUP_MS_MAX = 420_000;
const SETTLE = { withinMs: 180_000, everyMs: 500 };
/** Runs of each agent before and after. */
const RUNS = 2;

const Token = z.object({ id: z.string(), token: z.string(), copies: z.int() });

let lab: Lab;
let s1: LabHost;
let s2: LabHost;
let agents: Agent[];
/** What s2 joined with. */
let used: string;

before(async () => {
  const deb = await buildPackage();
  lab = await openLab({ hosts: ["s1", "s2", "a1"] });
  s1 = lab.host("s1");
  s2 = lab.host("s2");
  for (const server of [s1, s2]) {
    await writeSite(server);
    await server.installDeb(deb);
  }
  await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  agents = await createAgents(lab.host("a1"), [`one.${AUTOSIGNED}`, `two.${AUTOSIGNED}`]);
});

after(async () => lab?.down());

test("token create names an option that can't be, and says when only one server has the token", async () => {
  const create = "understudy token create";
  await refused(s1, `${create} --role serber`, "cli.option", [/--role "serber"/]);
  await refused(s1, `${create} --expires 40d`, "cli.option", [/--expires "40d".*30 days/]);
  assert.match(await s1.run(create), /1 copy: only one server has the token on disk/);
});

test("join with --token hides it from the process list, and warns", async () => {
  const { token } = Token.parse(JSON.parse(await s1.run("understudy token create --json")));
  used = token;
  const running = await s2.start(`exec understudy join ${URL} --token ${token}`, {
    withinMs: SETUP_MS_MAX,
  });
  const says = (what: RegExp) => () => what.test(running.output().stderr);
  await until("the warning", says(/in this shell's history/), SETTLE);
  assert.ok(!(await s2.run("ps -eo args")).includes(token.split(".")[3] ?? token));
  const done = await running.done;
  assert.equal(done.code, 0, done.stdout + done.stderr);
  assert.equal(await exchange(s1, URL, token), "token.used");
});

test("init is refused where a join was begun, and a removal of the server itself", async () => {
  await refused(s1, `understudy member remove ${s1.fqdn} --yes`, "member.remove-refused", [
    /run understudy leave/,
  ]);
  const init = `understudy init --name ${SHARED_NAME}`;
  await refused(s2, init, "setup.already-member", []);
  const file = "/etc/understudy/node.json";
  const ready = await s2.readFile(file);
  await s2.writeFile(file, ready.replace('"phase": "ready"', '"phase": "setup"'));
  await refused(s2, init, "setup.other-command", [/was begun here/, /understudy join/]);
  await s2.writeFile(file, ready);
});

test("garbage at the control API is the sender's error, not ours", async () => {
  const curl = ["curl", "-sk", "--data-binary", "garbage", `${URL}/v1/join/start`];
  assert.match(await s2.run(curl), /"api\.malformed"/);
  assert.doesNotMatch(await s1.journal("understudy"), /a request failed/);
});

test("the server with the only vote leaves: no run fails, and the other has the vote", async () => {
  const loop = loopAgents(agents);
  const ranSince = (count: number) => () => loop.runs.length >= count;
  await until("runs before", ranSince(RUNS * agents.length), SETTLE);
  const left = await s1.exec("understudy leave --yes", { withinMs: SETUP_MS_MAX });
  assert.equal(left.code, 0, left.stdout + left.stderr);
  assert.match(left.stdout, /1 copy: only one server has the removal/);
  assert.match(left.stderr, /no member of etcd any more/);
  assert.match(left.stderr, /refused by 1 of 1 members/);
  // Longer than a run that hangs: it is to be told below.
  const enough = ranSince(loop.runs.length + (RUNS + 1) * agents.length);
  await until("runs after", enough, { ...SETTLE, withinMs: SETUP_MS_MAX });
  const runs = await loop.stop();
  const failed = runs.filter(({ ok }) => !ok);
  assert.deepEqual(
    failed.map(({ agent, because, output }) => `${agent}: ${because}\n${output}`),
    [],
  );
  assert.equal(await findHolder([s1, s2], VIRTUAL_ADDRESS), s2);
  const { members, etcd } = await statusOf(s2);
  assert.deepEqual(
    members.map(({ member, local }) => [member.id, member.phase, local?.etcd.runs]),
    [[s2.fqdn, "ready", "leader"]],
  );
  assert.deepEqual([etcd.voters, etcd.quorum], [1, true]);
  await s2.run("understudy token create");
});

test("the last server can't leave, and a used token is of no use to another", async () => {
  await refused(s2, "understudy leave --yes", "member.remove-refused", [/is the last server/]);
  assert.equal(await exchange(s1, "https://10.88.0.12:9140", used), "token.used");
  const enabled = await s1.exec("systemctl is-enabled puppetserver");
  assert.equal(enabled.stdout.trim(), "disabled");
  await refused(s1, "understudy status", "cluster.not-a-member", []);
});
