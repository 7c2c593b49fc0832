// The certificate authority under torture: eight clients sign, renew, revoke and clean on all three
// servers while daemons and etcd are killed and hung, servers are cut off, disks fill up and power
// is lost, over and over. In the end everything that clients saw is held against what must be so.
// UNDERSTUDY_TORTURE_SEED plays the same faults again, UNDERSTUDY_TORTURE_SECONDS lasts longer.

import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import type { AgentRun } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import { AUTOSIGNED } from "../../cluster/site.ts";
import { scenario, seconds } from "../../cluster/scenario.ts";
import { type Fault, FAULT_KINDS, playFaults } from "../../torture/chaos.ts";
import type { ProgramOptions } from "../../torture/clients-program.ts";
import { readLastCrl, readLastState, watchCrls } from "../../torture/directory.ts";
import { type Act, isDone, parseActs } from "../../torture/history.ts";
import { listBreaches } from "../../torture/judge.ts";
import { createRandom } from "../../torture/random.ts";

const PROGRAM = join(import.meta.dirname, "../../torture/clients-program.ts");
const KEPT = join(import.meta.dirname, "../../../out");
const CLIENTS = 8;
const FAULTS_MS = Number(process.env["UNDERSTUDY_TORTURE_SECONDS"] ?? 120) * 1000;
const SEED = Number(process.env["UNDERSTUDY_TORTURE_SEED"] ?? wallMs() % 1_000_000);
const REST_MS_MAX = 400;
/** A client may wait so long for its last answer. */
const LAST_ANSWER_MS_MAX = 180_000;
const SETTLED_MS_MAX = 120_000;
const CHANGE_MS_MAX = 60_000;
const CA_CONF = "/etc/puppet/puppetserver/conf.d/ca.conf";
const LOGGED_MS_MAX = 3_600_000;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

hazard("nothing acknowledged is lost, given twice or let pass, whatever fails", async (scene) => {
  const { cluster, report, excuse, undo } = scene;
  report(`UNDERSTUDY_TORTURE_SEED=${SEED}`);
  undo(async () => renewals(cluster, false));
  await renewals(cluster, true);
  const folder = await mkdtemp(join(tmpdir(), "understudy-torture-"));
  undo(async () => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "acts.jsonl"), "");
  await writeFile(join(folder, "options.json"), JSON.stringify(await optionsOf(cluster)), {
    mode: 0o600,
  });

  const crls = watchCrls(cluster);
  undo(async () => crls.stop());
  const clients = cluster.lab.startFromNetwork([process.execPath, PROGRAM, folder], {
    host: cluster.agentHost.name,
    withinMs: FAULTS_MS + LOGGED_MS_MAX,
  });
  undo(async () => {
    clients.kill();
    await clients.done;
  });
  const faults = await playFaults(cluster, createRandom(SEED), FAULTS_MS, { say: report, undo });
  excuse((run) => faults.some((fault) => takesRuns(fault, run)));
  clients.kill("SIGTERM");
  const rests = () => clients.output().stdout.includes("rest");
  await until("every client has its last answer", rests, { withinMs: LAST_ANSWER_MS_MAX });
  await cluster.untilWhole();
  const { serials } = await readLastCrl(cluster.first);
  await untilConfirmed(cluster);
  const confirmed = { atMs: wallMs(), serials };
  clients.kill("SIGTERM");
  const { code, stderr } = await clients.done;
  assert.equal(code, 0, stderr);

  const acts = parseActs(await readFile(join(folder, "acts.jsonl"), "utf8"));
  const last = await until("all servers have the newest CRL", async () => sameCrl(cluster), {
    withinMs: SETTLED_MS_MAX,
    everyMs: 1000,
  });
  const breaches = listBreaches({ acts, crls: await crls.stop(), last, confirmed });
  if (breaches.length > 0) {
    const kept = await keepActs(join(folder, "acts.jsonl"));
    for (const line of storyOf(breaches, acts, faults)) report(line);
    assert.fail(`${breaches.length} breaches, see ${kept}:\n${breaches.slice(0, 20).join("\n")}`);
  }
  // A checker that saw nothing would find nothing, nor where nothing was broken.
  const undone = FAULT_KINDS.filter((kind) => !faults.some((fault) => fault.kind === kind));
  assert.deepEqual(undone, [], "faults that were never done");
  const done = countDone(acts);
  for (const op of ["submit", "fetch", "renew", "revoke", "clean", "use", "crl"] as const) {
    assert.ok((done.get(op) ?? 0) > 0, `no ${op} was answered well`);
  }
  const refused = acts.filter(({ op, status }) => op === "use" && status === 403).length;
  assert.ok(refused > 0, "nobody was refused");
  const counts = [...done].map(([op, count]) => `${count} ${op}`).join(", ");
  report(`${faults.length} faults; done: ${counts}; ${refused} uses of what was revoked refused`);
  const slowest = Math.max(...acts.map(({ fromMs, toMs }) => toMs - fromMs));
  report(`${acts.length} requests, the longest took ${seconds(slowest)}`);
});

/** What happened to the names that `breaches` speak of, in order, and the faults meanwhile. */
function storyOf(breaches: readonly string[], acts: readonly Act[], faults: readonly Fault[]) {
  const about = acts.filter(
    (act) => "name" in act && breaches.some((one) => one.includes(act.name)),
  );
  const lines = [
    ...faults.map((fault) => ({ atMs: fault.fromMs, line: JSON.stringify(fault) })),
    ...about.map((act) => ({ atMs: act.fromMs, line: JSON.stringify(act) })),
  ];
  return lines.sort((a, b) => a.atMs - b.atMs).map(({ line }) => line);
}

/** Keeps what clients saw for whoever looks into a breach. Returns where. */
async function keepActs(file: string): Promise<string> {
  await mkdir(KEPT, { recursive: true });
  const path = join(KEPT, `torture-${SEED}.jsonl`);
  await copyFile(file, path);
  return path;
}

/** What the program of clients gets. */
async function optionsOf(cluster: Cluster): Promise<ProgramOptions> {
  const ssl = (
    await cluster.first.run(["puppet", "config", "print", "ssldir", "--section", "server"])
  ).trim();
  const read = async (kind: string) =>
    cluster.first.readFile(`${ssl}/${kind}/${cluster.first.fqdn}.pem`);
  return {
    clients: CLIENTS,
    seed: SEED,
    servers: cluster.servers.map(({ fqdn, address }) => ({ name: fqdn, address })),
    admin: { cert: await read("certs"), key: await read("private_keys") },
    domain: AUTOSIGNED,
    run: wallMs().toString(36),
    restMs: REST_MS_MAX,
  };
}

/** Whether certificates are renewed for whoever asks. A daemon reads settings when it starts. */
async function renewals(cluster: Cluster, on: boolean): Promise<void> {
  const change = on
    ? `cp -a ${CA_CONF} ${CA_CONF}.lab; sed -i 's/^certificate-authority: {/&\\n allow-auto-renewal: true/' ${CA_CONF}`
    : `[ ! -e ${CA_CONF}.lab ] || mv ${CA_CONF}.lab ${CA_CONF}`;
  await Promise.all(
    cluster.servers.map(async (server) =>
      server.run(`${change}; systemctl restart understudy`, { withinMs: CHANGE_MS_MAX }),
    ),
  );
}

/** Every server's CA directory, once their CRLs are the same. */
async function sameCrl(cluster: Cluster) {
  const last = await Promise.all(cluster.servers.map(readLastState));
  return new Set(last.map(({ crl }) => crl.number)).size === 1 ? last : undefined;
}

/** Waits until every edge has confirmed the newest revocations. */
async function untilConfirmed(cluster: Cluster): Promise<void> {
  await cluster.until(
    "every edge confirms",
    ({ members }) => {
      const newest = Math.max(...members.map(({ local }) => local?.ca?.crlNumber ?? 0));
      return members.every(({ local }) => local?.edge?.confirmedCrl === newest);
    },
    SETTLED_MS_MAX,
  );
}

/** Whether agents that were connected to the server may have lost a run to the fault. */
function takesRuns({ kind, fromMs, toMs }: Fault, run: AgentRun): boolean {
  return !kind.startsWith("SIG") && run.startedAt < toMs + CHANGE_MS_MAX && run.endedAt > fromMs;
}

function countDone(acts: readonly Act[]): Map<Act["op"], number> {
  const counts = new Map<Act["op"], number>();
  for (const act of acts) if (isDone(act)) counts.set(act.op, (counts.get(act.op) ?? 0) + 1);
  return counts;
}
