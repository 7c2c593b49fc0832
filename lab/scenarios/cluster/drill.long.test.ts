// Each kind of drill once, under agents that run all the while and beside an outside prober: it
// goes through, brings back what it broke, and sees what the prober sees. A driver that is killed
// in the middle leaves a server that comes back by itself, and a mark that the next daemon takes
// away.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import type { DrillKind } from "../../../src/cluster/drill.ts";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import { ProbeAnswer } from "../../../src/setup/drill-contract.ts";
import { driverOf, holdOne } from "../../cluster/drill.ts";
import { type Scene, scenario } from "../../cluster/scenario.ts";

const BACK_MS_MAX = 120_000;
const DAEMON = "understudy.service";

const { hazard } = scenario({ crew: ["crew1", "crew2", "crew3"] });

/** Kinds of which no agent should notice anything. */
const UNNOTICED: DrillKind[] = ["puppetserver-kill", "daemon-kill", "vip-move", "etcd-loss"];
/** Kinds that break the connections to the server. */
const NOTICED: DrillKind[] = ["edge-kill", "server-isolate"];

hazard(
  "a synthetic agent gets a catalog on every server, with a certificate of its own",
  async (scene) => {
    const { cluster, report } = scene;
    for (const server of cluster.servers) {
      const said = await server.run("understudy probe --once --json");
      const answer = ProbeAnswer.parse(JSON.parse(said));
      assert.ok(answer.ok, answer.because);
      assert.equal(answer.certname, `understudy-probe.${server.fqdn}`);
      report(`${server.name}: a catalog in ${answer.ms} ms`);
    }
    const shown = await cluster.first.run("understudy ca list --all");
    for (const server of cluster.servers)
      assert.ok(shown.includes(`understudy-probe.${server.fqdn}`));
  },
);

for (const kind of UNNOTICED) {
  hazard(`${kind}: no agent notices, and all is as before`, async (scene) => {
    const { outside } = await held(scene, kind);
    // While an address moves, a first packet may have to be sent again, which takes a second.
    if (kind !== "vip-move") assert.equal(outside.failed, 0, "the outside prober");
  });
}

for (const kind of NOTICED) {
  hazard(`${kind}: new connections go elsewhere, and all is as before`, async (scene) => {
    const { figures, outside } = await held(scene, kind);
    assert.ok(outside.gaps.length > 0, "the outside prober saw nothing");
    assert.ok(figures.outages.length > 0, "the drill saw nothing");
    assert.ok(figures.takeoverMs !== undefined, "nobody took over");
  });
}

/** Holds it, and checks what holds for every kind. */
async function held({ cluster, report, excuse }: Scene, kind: DrillKind) {
  const drill = await holdOne(cluster, kind);
  const { outcome, because, left, figures, actMs = 0, id, server } = drill.report;
  assert.equal(outcome, "done", because);
  assert.deepEqual(left, []);
  assert.equal(drill.code, 0);
  assert.ok(figures);
  const theirs = Math.round(drill.outside.longestGapMs);
  const late = Math.round(drill.outside.worstStallMs);
  report(
    `${kind} at ${server}: no new connection for ${figures.outageMs} ms (outside: ${theirs} ms, itself late by ${late}); seen after ${figures.detectedMs ?? "-"} ms: ${figures.detectedBy ?? "nothing"}; ${figures.catalogs.failed} of ${figures.catalogs.count} catalogs failed, ${figures.replays} sent on`,
  );
  if (!NOTICED.includes(kind)) {
    assert.equal(figures.catalogs.failed, 0, JSON.stringify(figures.reasons));
    assert.equal(figures.kept.failed, 0, JSON.stringify(figures.reasons));
    assert.equal(figures.broken, 0, "the connection that is kept broke");
  }
  // Whoever was under way with the edge that died may have lost a connection.
  excuse((run) => NOTICED.includes(kind) && run.startedAt <= actMs && run.endedAt > actMs);
  const page = `/tmp/${id}.html`;
  await drill.driver.run(["understudy", "drill", "show", id, "--html", page]);
  assert.match(await drill.driver.readFile(page), /<svg /);
  // Its driver may have been without etcd until a moment ago.
  const told = [`${kind} at ${server} begins (${id})`, `${kind} at ${server} (${id})`];
  await until(
    "it is in the history, its beginning and its end",
    async () => {
      const history = await cluster.first.run("understudy history --kind drill --since 1h");
      return told.every((each) => history.includes(each));
    },
    { withinMs: 60_000, everyMs: 1000 },
  );
  return { figures, outside: drill.outside };
}

hazard(
  "a drill whose driver is killed: the server comes back, and the next drill may be held",
  async ({ cluster }) => {
    const driver = await driverOf(cluster);
    const holder = await cluster.holder();
    const target = cluster.servers.find((server) => server !== driver && server !== holder);
    assert.ok(target);
    const argv = ["understudy", "drill", "server-isolate", "--server", target.fqdn, "--yes"];
    const command = driver.exec(argv, { withinMs: 600_000 });
    const isCut = "nft list tables | grep -q understudy_drill";
    await target.untilHolds(isCut, BACK_MS_MAX);
    await driver.signal(DAEMON, "SIGKILL");
    // By the timer on the server itself: nobody can ask it.
    await target.untilHolds(`! { ${isCut}; }`, BACK_MS_MAX);
    assert.equal((await command).ok, false);
    const isOver = ({ work }: ClusterStatus) => work.drill === undefined;
    await cluster.until("the mark is gone", isOver, BACK_MS_MAX);
  },
);

hazard("a drill that somebody stops is undone", async ({ cluster }) => {
  const driver = await driverOf(cluster);
  const argv = ["understudy", "drill", "etcd-loss", "--yes"];
  const command = driver.exec(argv, { withinMs: 600_000 });
  const isLost = ({ etcd, work }: ClusterStatus) => work.drill !== undefined && etcd.answering < 3;
  await cluster.until("a lost vote", isLost, BACK_MS_MAX);
  await cluster.first.run("understudy drill stop");
  assert.equal((await command).code, 3);
  const isOver = ({ work }: ClusterStatus) => work.drill === undefined;
  await cluster.until("the mark is gone", isOver, BACK_MS_MAX);
});

hazard("a drill is refused while the cluster lacks something", async (scene) => {
  const { cluster, undo } = scene;
  const driver = await driverOf(cluster);
  const drained = cluster.servers.find((server) => server !== driver);
  assert.ok(drained);
  undo(async () => driver.run(["understudy", "undrain", drained.fqdn]));
  await driver.run(["understudy", "drain", drained.fqdn], { withinMs: 900_000 });
  const refused = await driver.exec("understudy drill edge-kill --yes --json");
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /drill\.refused/);
  const nothing = await driver.exec("understudy drill puppetdb-kill --yes --json");
  assert.match(nothing.stdout, /no member has a PuppetDB/);
});
