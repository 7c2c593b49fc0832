// What is wrong is told by mail once, whoever leads: a server loses power, the daemon that leads
// dies while it is told, etcd has no quorum. Hooks run on what happens, hang, leave processes
// behind, and hold nothing up. Agents run all the while.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { messageIdOf } from "../../../src/base/message-id.ts";
import { AlertsShown, AlertTested, HookList } from "../../../src/setup/alerts-contract.ts";
import { HistoryAnswer } from "../../../src/setup/history-contract.ts";
import { bootDead, type Cluster } from "../../cluster.ts";
import { statusOf } from "../../cluster/commands.ts";
import { startEtcd, stopEtcd } from "../../cluster/etcd.ts";
import { closeMailbox, MAIL_PORT, openMailbox, readMails } from "../../cluster/mailbox.ts";
import { wasOnDeadEdge } from "../../cluster/outage.ts";
import { bootAgain, cutHolder } from "../../cluster/power-cut.ts";
import { lasting, scenario, type Scene } from "../../cluster/scenario.ts";
import { watchEdge } from "../../cluster/watch.ts";
import type { LabHost } from "../../host.ts";

const DAEMON = "understudy.service";
const HOOKS = "/etc/understudy/hooks.d";
/** An alert must hold for half a minute, is sent within some seconds, and is over after a minute. */
const TOLD = { withinMs: 240_000, everyMs: 2000 };
/** So long nothing more may come. */
const QUIET_MS = 45_000;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

async function json(server: LabHost, words: readonly string[]): Promise<unknown> {
  return JSON.parse(await server.run(["understudy", ...words, "--json"]));
}

/** Has alerts sent to the agents' host, and undoes it. */
async function mailTo({ cluster, undo }: Scene): Promise<void> {
  const { agentHost, first } = cluster;
  await openMailbox(agentHost);
  undo(async () => {
    await cluster.untilWhole();
    await first.exec(["understudy", "alerts", "remove", "box"]);
    await closeMailbox(agentHost);
  });
  const server = ["--server", `${agentHost.address}:${MAIL_PORT}`, "--security", "none"];
  const who = ["--from", "understudy@lab.test", "--to", "ops@lab.test"];
  await first.run(["understudy", "alerts", "mail", "box", ...server, ...who]);
  const { results } = AlertTested.parse(await json(first, ["alerts", "test", "box"]));
  assert.deepEqual(
    results.map(({ ok, because }) => [ok, because]),
    [[true, ""]],
  );
}

/** Lines of all mails that have `text`, but for tests. */
async function lines({ agentHost }: Cluster, text: string): Promise<string[]> {
  const mails = await readMails(agentHost);
  return mails.flatMap((mail) => mail.text.split("\n")).filter((line) => line.includes(text));
}

hazard("a power cut is told by mail once, and that it is over", async (scene) => {
  const { cluster, crew, excuse, report, undo } = scene;
  await using watch = await watchEdge(cluster);
  await mailTo(scene);
  const stage = { cluster, say: report, agents: crew.agents, loop: crew.loop, ...watch };
  for (const { certname } of crew.agents) {
    undo(async () => cluster.mood(certname, { is: "plain" }));
  }
  undo(async () => bootDead(cluster.servers));
  const outage = await cutHolder(stage);
  excuse((run) => wasOnDeadEdge(run, outage));
  const dead = outage.server.fqdn;
  await until(
    "the mail",
    async () => (await lines(cluster, `${dead} doesn't answer`)).length > 0,
    TOLD,
  );
  await lasting(QUIET_MS);
  assert.equal((await lines(cluster, `${dead} doesn't answer`)).length, 1, "told once");
  const survivor = cluster.servers.find((server) => server !== outage.server);
  assert.ok(survivor);
  const { alerts } = AlertsShown.parse(await json(survivor, ["alerts", "list"]));
  assert.ok(alerts.some(({ kind, subject }) => kind === "member-silent" && subject === dead));
  await bootAgain(stage, outage);
  const over = async () => {
    const told = await lines(cluster, `${dead} doesn't answer`);
    return told.some((line) => line.startsWith("resolved: ")) && told;
  };
  const told = await until("that it is over", over, TOLD);
  assert.equal(told.length, 2);
});

hazard("a leader's daemon that dies again and again makes no alert come twice", async (scene) => {
  const { cluster, undo } = scene;
  await mailTo(scene);
  const [first, victim] = cluster.servers;
  assert.ok(first && victim);
  // Something that lasts, of which no agent knows: its edge is up, its daemon is silent.
  undo(async () => victim.run(`systemctl start ${DAEMON}`));
  await victim.run(`systemctl stop ${DAEMON}`);
  const others = cluster.servers.filter((server) => server !== victim);
  for (let times = 0; times < 6; times += 1) {
    for (const server of others) {
      // Whoever leads, and whoever would lead next: one after the other.
      await server.signal(DAEMON, "SIGKILL", "main");
      await lasting(15_000);
    }
  }
  const text = `${victim.fqdn} doesn't answer`;
  await until("the mail", async () => (await lines(cluster, text)).length > 0, TOLD);
  await lasting(QUIET_MS);
  assert.equal((await lines(cluster, text)).length, 1, "told once");
});

hazard("without quorum one server says so, once, and that it is over", async (scene) => {
  const { cluster, undo } = scene;
  await mailTo(scene);
  // Each server keeps what it needs to tell without the record.
  for (const server of cluster.servers) {
    await server.untilHolds("grep -q box /var/lib/understudy/view.json", 60_000);
  }
  const others = cluster.servers.slice(1);
  const start = async () => startEtcd(others);
  undo(start);
  await stopEtcd(others);
  const text = "etcd has no quorum";
  await until("the mail", async () => (await lines(cluster, text)).length > 0, TOLD);
  await lasting(QUIET_MS);
  assert.equal((await lines(cluster, text)).length, 1, "told once");
  await start();
  await until(
    "that it is over",
    async () => (await lines(cluster, "etcd has its quorum again")).length === 1,
    TOLD,
  );
});

hazard("hooks run on events as their own user, are ended with all they start", async (scene) => {
  const { cluster, undo } = scene;
  const [first, second] = cluster.servers;
  assert.ok(first && second);
  undo(async () => {
    await Promise.all(
      cluster.servers.map(async (server) => server.run(`rm -f ${HOOKS}/* /tmp/hook-*`)),
    );
  });
  const note =
    '#!/bin/sh\nread -r event\nlogger -t lab-hook "$(id -un) $UNDERSTUDY_EVENT $event"\n';
  const leave = "#!/bin/sh\nsetsid sleep 3600 &\nsetsid sleep 3600 &\nexit 0\n";
  const hang = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n";
  for (const server of cluster.servers) {
    await server.writeFile(`${HOOKS}/10-note`, note, { mode: 0o755 });
    await server.writeFile(`${HOOKS}/20-leave`, leave, { mode: 0o755 });
    await server.writeFile(`${HOOKS}/30-hang`, hang, { mode: 0o755 });
    await server.writeFile(`${HOOKS}/40-open`, "#!/bin/sh\n", { mode: 0o777 });
  }
  undo(async () => second.run(`systemctl start ${DAEMON}`));
  await second.run(`systemctl stop ${DAEMON}`);
  const noted = `journalctl -t lab-hook -o cat --since -5min | grep -q '^understudy-hooks member-down .*${second.fqdn}'`;
  await first.untilHolds(noted, 120_000);
  const id = messageIdOf("member-down");
  await first.untilHolds(
    `journalctl MESSAGE_ID=${id} -o cat --since -5min | grep -q ${second.fqdn}`,
    60_000,
  );
  await first.untilHolds(
    `journalctl -u understudy MESSAGE_ID=${id} -o cat --since -5min | grep -q .`,
  );
  await second.run(`systemctl start ${DAEMON}`);
  await first.untilHolds(
    "! systemctl list-units --all --plain --no-legend 'understudy-hook-*' | grep -q .",
    120_000,
  );
  await first.untilHolds("! pgrep -u understudy-hooks", 60_000);
  const { hooks } = HookList.parse(await json(first, ["hooks", "list"]));
  const open = hooks.find(({ name }) => name === "40-open");
  assert.equal(open?.runs, false);
  assert.match(
    hooks.find(({ name }) => name === "30-hang")?.last?.because ?? "",
    /killed after 30 s/,
  );
  const { problems } = await statusOf(first);
  assert.ok(problems.some(({ kind }) => kind === "hooks-refused"));
  const words = ["history", "--since", "10m", "--kind", "hook", "--limit", "1000"];
  const { entries } = HistoryAnswer.parse(await json(first, words));
  assert.ok(entries.some(({ what }) => /hook 10-note ran on member-down/.test(what)));
  assert.ok(entries.some(({ what }) => /hook 30-hang failed on/.test(what)));
});
