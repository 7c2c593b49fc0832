// PuppetDB on two of three servers, behind couriers: a PuppetDB stops while agents run, a courier
// is killed, a server is lost right after it took a command. No run fails, nothing that was taken
// is missing from either, and no agent purges what it should keep.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { until } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";
import type { Cluster } from "../cluster.ts";
import { openCluster } from "../cluster.ts";
import { factsOf, post, postFacts, unfit } from "../cluster/courier.ts";
import { startCrew } from "../cluster/crew.ts";
import { holdOne } from "../cluster/drill.ts";
import { EXPORTERS, rounds, settle, writeExports } from "../cluster/exports.ts";
import { queryPuppetdb, startPuppetdb, untilSame } from "../cluster/puppetdb.ts";
import { scenesOn } from "../cluster/scenes.ts";
import { AUTOSIGNED } from "../cluster/site.ts";
import type { LabHost } from "../host.ts";

const ENABLE_MS_MAX = 600_000;
/** What `puppetdb enable` may change. */
const FILES =
  "cd /etc && find puppet/puppet.conf puppet/puppetdb.conf puppet/routes.yaml puppetdb/conf.d";

/** A dashboard: a line for each report that it takes. */
const BOARD_PORT = 9090;
const BOARD = `import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
createServer((incoming, outgoing) => {
  let body = "";
  incoming.setEncoding("utf8").on("data", (text) => (body += text));
  incoming.on("end", () => {
    appendFileSync("/srv/board", /^transaction_uuid: (.+)$/m.exec(body)[1] + "\\n");
    outgoing.end();
  });
}).listen(${BOARD_PORT});
`;
const PUPPET_CONF = "/etc/puppet/puppet.conf";
const NODE = "/usr/lib/understudy/node";

let cluster: Cluster;
let s1: LabHost;
let s2: LabHost;
let s3: LabHost;
let stock: string;
/** When s2's PuppetDB began to get what the other gets. */
let filledMs: number;

before(async () => {
  cluster = await openCluster({ servers: 3, agentHosts: 1, prepare: writeExports });
  [s1, s2, s3] = cluster.servers as [LabHost, LabHost, LabHost];
  await Promise.all([s1, s2].map(startPuppetdb));
  stock = await sumsOf(s2);
});

after(async () => cluster?.down());

const scene = scenesOn(() => cluster);

scene(
  "puppetdb enable shows first what it would do, does it on every server, and does it twice",
  async () => {
    const before = await sumsOf(s1);
    const shown = await s1.run("understudy puppetdb enable --dry-run");
    assert.match(shown, /jetty\.ini: PuppetDB listens on loopback alone/);
    assert.match(shown, /https:\/\/s1\.lab\.test:8081, then https:\/\/s2\.lab\.test:8081/);
    assert.equal(await sumsOf(s1), before);
    for (const server of cluster.servers) {
      const without = server === s1 ? "" : " --without-puppetdb";
      await server.run(`understudy puppetdb enable${without}`, { withinMs: ENABLE_MS_MAX });
    }
    const again = await s1.run("understudy puppetdb enable --json", { withinMs: ENABLE_MS_MAX });
    assert.match(again, /"puppetdb": "answers"/);
    const ports = await s1.run("ss -Hltn");
    assert.match(ports, /127\.0\.0\.1\]?:8080 /);
    assert.doesNotMatch(ports, /(?:0\.0\.0\.0|\*|\[::\]):8080 /);
    await cluster.untilWhole();
    assert.match(await s3.run("understudy status"), /PUPPETDB/);
  },
);

scene(
  "a later PuppetDB fills: it answers when it has every node that the first one has",
  async () => {
    await using crew = await startCrew(cluster, EXPORTERS);
    await rounds(crew, 1);
    const said = await s2.run("understudy puppetdb enable", { withinMs: ENABLE_MS_MAX });
    assert.match(said, /answers no queries yet/);
    filledMs = wallMs();
    await rounds(crew, 1);
    const answers = async () =>
      (await cluster.status(s2)).members.some(
        ({ member }) => member.id === s2.fqdn && member.puppetdb === "answers",
      );
    await until("s2's PuppetDB answers", answers, { withinMs: 120_000, everyMs: 1000 });
    await rounds(crew, 1);
    await crew.assertUnharmed(0);
    await settle(cluster, crew, filledMs);
    await until("every PuppetDB is fit", async () => (await unfit(s3)).length === 0, {
      withinMs: 60_000,
    });
  },
);

scene(
  "a PuppetDB that stops during runs and starts again fails none, and lacks nothing",
  async () => {
    const fromMs = wallMs();
    await using crew = await startCrew(cluster, EXPORTERS);
    await rounds(crew, 1);
    await s1.run("systemctl stop puppetdb");
    await rounds(crew, 2);
    assert.match((await unfit(s3)).join(), /s1\.lab\.test/);
    await s1.run("systemctl start puppetdb", { withinMs: ENABLE_MS_MAX });
    await rounds(crew, 1);
    await crew.assertUnharmed(fromMs);
    await settle(cluster, crew, filledMs);
  },
);

scene(
  "a PostgreSQL that stops during runs and starts again fails none, and lacks nothing",
  async () => {
    const fromMs = wallMs();
    await using crew = await startCrew(cluster, EXPORTERS);
    await rounds(crew, 1);
    await s2.run("systemctl stop postgresql@15-main");
    await rounds(crew, 2);
    await s2.run("systemctl start postgresql@15-main");
    await rounds(crew, 1);
    await crew.assertUnharmed(fromMs);
    await settle(cluster, crew, filledMs);
  },
);

scene("couriers that are killed right after runs lose nothing, and fail none", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  for (const server of cluster.servers) {
    await rounds(crew, 1);
    await server.signal("understudy-courier.service", "SIGKILL", "all");
  }
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, filledMs);
});

scene("a drill that kills PuppetDB goes through, and no run notices", async () => {
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  const { report, outside } = await holdOne(cluster, "puppetdb-kill");
  assert.equal(report.outcome, "done", report.because);
  assert.deepEqual(report.left, []);
  assert.equal(report.figures?.catalogs.failed, 0, JSON.stringify(report.figures?.reasons));
  assert.equal(report.figures.broken, 0, "the connection that is kept broke");
  assert.equal(outside.failed, 0, "the outside prober");
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, filledMs);
});

scene("reports for a dashboard wait while it is down, and go there once each", async () => {
  await s1.run(`understudy reports add board http://${s2.address}:${BOARD_PORT}/reports`);
  for (const server of cluster.servers) await uploadReports(server);
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 1);
  const fromMs = wallMs();
  await rounds(crew, 1);
  // Not killed: puppetserver doesn't repeat an upload that breaks off.
  await s1.run("systemctl restart understudy-courier");
  await rounds(crew, 1);
  await crew.assertUnharmed(fromMs);
  await settle(cluster, crew, filledMs);
  assert.match(await s3.run("understudy reports list"), /^board .* it doesn't answer: /m);
  await s2.writeFile("/root/board.mjs", BOARD);
  await s2.run(`systemd-run --unit=board ${NODE} /root/board.mjs`);
  const since = [">", "producer_timestamp", new Date(fromMs).toISOString()];
  const query = ["from", "reports", ["extract", ["transaction_uuid"], since]];
  const stored = (await queryPuppetdb(s1, query)).map((row) => String(row["transaction_uuid"]));
  assert.ok(stored.length >= 2 * EXPORTERS.length, `${stored.length} reports`);
  const taken = async () => (await s2.run("cat /srv/board 2>/dev/null || true")).trim().split("\n");
  const waits = async () =>
    /^board +\S+ +takes them +0 /m.test(await s3.run("understudy reports list"));
  await until("no report waits", waits, { withinMs: 120_000, everyMs: 1000 });
  const all = await taken();
  assert.deepEqual(
    stored.filter((uuid) => !all.includes(uuid)),
    [],
    "reports are missing",
  );
  assert.deepEqual(all.toSorted(), [...new Set(all)].toSorted(), "a report came twice");
  await s1.run("understudy reports remove board");
  for (const server of cluster.servers) await server.run(`mv ${PUPPET_CONF}.kept ${PUPPET_CONF}`);
  for (const server of cluster.servers) await reloadPuppetserver(server);
});

scene(
  "a PuppetDB whose nodes have expired shows them again, and is used before by nobody",
  async () => {
    await s3.run("understudy puppetdb use s1.lab.test");
    const sql = `cd / && runuser -u postgres -- psql -q puppetdb -c "update certnames set expired = now()"`;
    await s2.run(["bash", "-c", sql]);
    const shown = async () => (await queryPuppetdb(s2, ["from", "nodes"])).length;
    assert.equal(await shown(), 0);
    const whole = async () => (await shown()) >= EXPORTERS.length && (await unfit(s3)).length === 0;
    await until("the sync has shown them again", whole, { withinMs: 120_000, everyMs: 1000 });
    assert.match(await s3.run("understudy puppetdb status"), /^s1\.lab\.test .*s3\.lab\.test/m);
  },
);

scene("with every daemon stopped, couriers go on", async () => {
  const fromMs = wallMs();
  for (const server of cluster.servers) await server.run("systemctl stop understudy");
  await using crew = await startCrew(cluster, EXPORTERS);
  await s3.run("systemctl restart understudy-courier");
  await rounds(crew, 2);
  await crew.assertUnharmed(fromMs);
  for (const server of cluster.servers) await server.run("systemctl start understudy");
  await settle(cluster, crew, filledMs);
});

scene(
  "a server that is lost right after it took a command took it for both PuppetDBs",
  async () => {
    const certname = `lost.${AUTOSIGNED}`;
    // Nobody can deliver it at once: it must come from the copy.
    for (const server of [s1, s2]) await server.run("systemctl stop puppetdb");
    await until("none is fit", async () => (await unfit(s3)).length === 2, { withinMs: 60_000 });
    assert.equal(await postFacts(s3, certname), "200");
    await s3.powerCut();
    for (const server of [s1, s2]) {
      await server.run("systemctl start puppetdb", { withinMs: ENABLE_MS_MAX });
    }
    for (const server of [s1, s2]) {
      const has = async () => (await queryPuppetdb(server, factsOf(certname))).length === 1;
      await until(`${server.name} has it`, has, { withinMs: 180_000, everyMs: 1000 });
    }
    await untilSame([s1, s2], filledMs);
  },
);

scene("a node that is deleted at one courier is gone from every PuppetDB", async () => {
  const certname = `lost.${AUTOSIGNED}`;
  const act = JSON.stringify({ command: "delete", version: 1, payload: { certname } });
  assert.equal(await post(s1, "/pdb/admin/v1/cmd", act), "200");
  for (const server of [s1, s2]) {
    const gone = async () => (await queryPuppetdb(server, factsOf(certname))).length === 0;
    await until(`${server.name} hasn't it`, gone, { withinMs: 60_000, everyMs: 1000 });
  }
});

scene("puppetdb disable puts every file back, and the others go on", async () => {
  await s3.boot();
  await cluster.untilWhole();
  await s2.run("understudy puppetdb disable", { withinMs: ENABLE_MS_MAX });
  assert.equal(await sumsOf(s2), stock);
  assert.doesNotMatch(await s2.run("ss -Hltn"), /:(?:8081|8143) /);
  const fromMs = wallMs();
  await using crew = await startCrew(cluster, EXPORTERS);
  await rounds(crew, 2);
  await crew.assertUnharmed(fromMs);
  await crew.stop();
});

/** Has puppetserver upload reports to its courier, as docs/reports.md says. */
async function uploadReports(server: LabHost): Promise<void> {
  const url = `https://${server.fqdn}:8081/understudy/courier/v1/reports`;
  await server.run(`cp -p ${PUPPET_CONF} ${PUPPET_CONF}.kept`);
  const reports = (await server.run("puppet config print reports --section server")).trim();
  await server.run(`puppet config set --section server reports ${reports},http`);
  await server.run(`puppet config set --section server reporturl ${url}`);
  await reloadPuppetserver(server);
}

async function reloadPuppetserver(server: LabHost): Promise<void> {
  await server.run("systemctl reload puppetserver", { withinMs: ENABLE_MS_MAX });
  await cluster.untilWhole();
}

async function sumsOf(server: LabHost): Promise<string> {
  return server.run(`${FILES} -type f -exec sha256sum {} + 2>/dev/null || true`);
}
