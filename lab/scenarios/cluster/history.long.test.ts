// What happened is known afterwards: a server that held the address loses power, etcd has no quorum
// while something happens, and somebody changes a setting. The history has each of it once, `why`
// has the evidence, and an incident names whom it couldn't ask.

import assert from "node:assert/strict";
import { z } from "zod";
import { until } from "../../../src/base/retry.ts";
import { Incident } from "../../../src/cluster/history/incident.ts";
import { Explanation } from "../../../src/cluster/why/explain.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { HistoryAnswer } from "../../../src/setup/history-contract.ts";
import { bootDead } from "../../cluster.ts";
import { wasOnDeadEdge } from "../../cluster/outage.ts";
import { bootAgain, cutHolder } from "../../cluster/power-cut.ts";
import { startEtcd, stopEtcd } from "../../cluster/etcd.ts";
import { scenario } from "../../cluster/scenario.ts";
import { watchEdge } from "../../cluster/watch.ts";
import type { LabHost } from "../../host.ts";

/** A member is silent for 15 s before that is told; entries are sent every 5 s. */
const TOLD = { withinMs: 120_000, everyMs: 1000 };

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

async function ask<S extends z.ZodType>(
  server: LabHost,
  words: string[],
  answer: S,
): Promise<z.infer<S>> {
  return answer.parse(JSON.parse(await server.run(["understudy", ...words])));
}

/** What the history of `server` tells since `sinceMs`. */
async function told(server: LabHost, sinceMs: number) {
  const since = new Date(sinceMs).toISOString();
  const words = ["history", "--since", since, "--limit", "1000", "--json"];
  return ask(server, words, HistoryAnswer);
}

const has = (entries: readonly { what: string }[], pattern: RegExp) =>
  entries.filter(({ what }) => pattern.test(what)).length;

hazard("a power cut is in the history once, with its evidence and an incident", async (scene) => {
  const { cluster, crew, excuse, report, undo } = scene;
  const sinceMs = wallMs();
  await using watch = await watchEdge(cluster);
  const stage = { cluster, say: report, agents: crew.agents, loop: crew.loop, ...watch };
  for (const { certname } of crew.agents) {
    undo(async () => cluster.mood(certname, { is: "plain" }));
  }
  undo(async () => bootDead(cluster.servers));
  const outage = await cutHolder(stage);
  excuse((run) => wasOnDeadEdge(run, outage));
  const dead = outage.server.fqdn;
  const survivor = cluster.servers.find((server) => server !== outage.server);
  assert.ok(survivor);
  const vip = cluster.vip ?? "";

  const known = async () => {
    const { entries } = await told(survivor, sinceMs);
    const gained = entries.some(
      ({ what, member }) => what.includes(`holds ${vip}`) && member !== dead,
    );
    return gained && has(entries, new RegExp(`${dead}'s daemon doesn't answer`)) > 0 && entries;
  };
  const entries = await until("the power cut in the history", known, TOLD);
  assert.equal(has(entries, new RegExp(`${dead}'s daemon doesn't answer`)), 1, "told once");
  assert.equal(has(entries, new RegExp(`puppetserver ${dead} is `)) <= 2, true);

  const why = await ask(survivor, ["why", "vip", "--json"], Explanation);
  assert.match(why.verdict, new RegExp(`^${vip} is held by `));
  assert.ok(why.missing.some(({ member }) => member === dead));
  const of = await ask(survivor, ["why", dead, "--json"], Explanation);
  assert.match(of.verdict, /daemon can't be asked/);
  const words = ["incident", "--since", "30m", "--format", "json"];
  const during = await ask(survivor, words, Incident);
  assert.ok(during.missing.some(({ member }) => member === dead));

  await bootAgain(stage, outage);
  const restarted = async () => {
    const { lines, missing } = await ask(survivor, words, Incident);
    return (
      missing.length === 0 &&
      lines.some(({ member, because }) => {
        return member === dead && because.includes("ended without a word");
      })
    );
  };
  await until("the dead server's own account", restarted, TOLD);
});

hazard("what happens without quorum comes into the record when etcd is back", async (scene) => {
  const { cluster, undo } = scene;
  const sinceMs = wallMs();
  const [first, ...others] = cluster.servers;
  assert.ok(first);
  const start = async () => startEtcd(others);
  undo(start);
  await stopEtcd(others);
  const pattern = new RegExp(`${first.fqdn} can't reach the record`);
  const own = async () => {
    const { entries, because } = await told(first, sinceMs);
    return because !== "" && has(entries, pattern) === 1;
  };
  await until("this member's own account", own, TOLD);
  await start();
  const [other] = others;
  assert.ok(other);
  const everywhere = async () => {
    const { entries, because } = await told(other, sinceMs);
    return because === "" && has(entries, pattern) === 1;
  };
  await until("it in the record, as another member reads it", everywhere, TOLD);
});

hazard("a setting that is changed is told with who did it, and holds everywhere", async (scene) => {
  const { cluster, undo } = scene;
  const sinceMs = wallMs();
  const { first } = cluster;
  undo(async () => first.run(["understudy", "config", "unset", "isolatedEdge"]));
  const set = ["config", "set", "isolatedEdge", "refuse"];
  await first.run(["env", "SUDO_USER=alice", "understudy", ...set]);
  const there = async () => {
    const files = await Promise.all(
      cluster.servers.map(async (server) =>
        server.exec(["test", "-e", "/var/lib/understudy/isolated-edge-waits"]),
      ),
    );
    return files.every(({ ok }) => ok);
  };
  await until("it holds on every server", there, TOLD);
  const known = async () => {
    const { entries } = await told(first, sinceMs);
    const command = entries.some(({ kind, by }) => kind === "command" && by === "root (alice)");
    return command && has(entries, /^isolatedEdge is "refuse"/) === 1;
  };
  await until("the history tells it once", known, TOLD);
});
