// P5, step by step on one cluster: two of three etcd members stop, then every daemon, then the
// server that holds the address loses power, and it boots while all of that is still off. Agents
// run all the while; what they need of the CA still comes; changes get a clear error. Then
// everything comes back, and nothing was lost.

import assert from "node:assert/strict";
import { z } from "zod";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { type Agent, createAgents } from "../../agents.ts";
import { bootDead, findHolder } from "../../cluster.ts";
import { assertFine } from "../../cluster/compiles.ts";
import { enrol, HUNG_MS } from "../../cluster/crew.ts";
import { knock } from "../../cluster/knock.ts";
import { wasOnDeadEdge } from "../../cluster/outage.ts";
import { startEtcd, stopEtcd } from "../../cluster/etcd.ts";
import { scenario, type Scene, seconds } from "../../cluster/scenario.ts";
import { AUTOSIGNED } from "../../cluster/site.ts";
import { freshNames, submit } from "../../cluster/signings.ts";
import { watchEdge } from "../../cluster/watch.ts";
import type { LabHost } from "../../host.ts";
import { awaitReturn } from "../../prober.ts";

const DAEMON = "understudy.service";
/** A command that says nothing for so long has no answer. */
const ANSWER_MS_MAX = 90_000;
const MOVE_MS_MAX = 120_000;
const BOOTED_MS_MAX = 300_000;
/** What serves agents on a server, with no daemon and no etcd. */
const SERVING = [
  "understudy-files.socket",
  "understudy-edge.service",
  "understudy-vip.service",
  "puppetserver.service",
];
const REFUSED = ["etcd.no-quorum", "etcd.unreachable", "etcd.no-leader"];

let waiting: Agent | undefined;
let known: Agent | undefined;
const { hazard } = scenario({
  crew: ["crew1", "crew2"],
  prepare: async (cluster) => {
    [known] = await enrol(cluster, ["known1"]);
  },
});

hazard(
  "etcd without quorum, no daemon, a power cut and a boot: agents are served throughout",
  async (scene) => {
    const { cluster, crew, undo } = scene;
    waiting = await submitRequest(scene, `waits${wallMs()}.lab.test`);
    const [spare = ""] = freshNames("spare", 1);
    assert.equal((await submit(cluster, cluster.first, spare)).status, 200);
    // Back comes everything that was stopped, whatever the hazard got to.
    undo(async () => bringBack(scene));

    const holder = (await cluster.holder()) ?? cluster.first;
    const stopped = cluster.servers.filter((server) => server !== holder);
    let fromMs = wallMs();
    await stopEtcd(stopped);
    await assertStatusHonest(scene);
    await assertChangesRefused(scene, waiting.certname, spare);
    await assertReadable(scene, "crew1");
    await crew.assertUnharmed(fromMs);

    fromMs = wallMs();
    await Promise.all(
      // For good: not even a boot brings one back.
      cluster.servers.map(async (server) => server.run(`systemctl mask --now ${DAEMON}`)),
    );
    await assertReadable(scene, "crew1");
    await assertAgentsFetch(scene);
    await crew.assertUnharmed(fromMs);

    await cutPower(scene, holder, stopped);
    await assertReadable(scene, "crew2");
    await crew.allRun();

    await holder.boot();
    await assertServesAlone(scene, holder);
    await assertReadable(scene, "crew2");
  },
);

hazard("and all of it back: what waited is signed, new agents enrol", async (scene) => {
  const { cluster, report } = scene;
  assert.ok(waiting);
  await cluster.first.run(["understudy", "ca", "sign", waiting.certname]);
  const run = await waiting.run({ withinMs: HUNG_MS });
  assertFine(run);
  await enrol(cluster, [`after${wallMs()}`]);
  report(`the request from before was signed and its agent's first run took ${seconds(run.ms)}`);
});

/** A request that waits for an administrator. */
async function submitRequest({ cluster }: Scene, certname: string): Promise<Agent> {
  const [agent] = await createAgents(cluster.agentHost, [certname]);
  assert.ok(agent);
  const submitted = await agent.ssl("submit_request");
  assert.ok(submitted.ok, submitted.stdout + submitted.stderr);
  return agent;
}

/** Changes fail with exit code 1 and a code that says why, on every server, and soon. */
async function assertChangesRefused(
  { cluster, report }: Scene,
  toSign: string,
  toRevoke: string,
): Promise<void> {
  const said: string[] = [];
  for (const server of cluster.servers) {
    for (const words of [
      ["ca", "sign", toSign],
      ["ca", "revoke", toRevoke],
      ["token", "create"],
    ]) {
      const argv = ["understudy", ...words, "--json"];
      const { code, stdout, stderr, ms } = await server.exec(argv, { withinMs: ANSWER_MS_MAX });
      const what = `${server.name}# ${argv.join(" ")}: ${code ?? "no answer"}: ${stdout}${stderr}`;
      assert.equal(code, 1, what);
      const { error } = z
        .object({ error: z.object({ code: z.string() }) })
        .parse(JSON.parse(stdout));
      assert.ok(REFUSED.includes(error.code), what);
      said.push(`${words.slice(0, 2).join(" ")} ${error.code} after ${seconds(ms)}`);
    }
  }
  report(`refused: ${said.join("; ")}`);
}

/** Status answers on every server, without quorum, says so, and how old what it shows is. */
async function assertStatusHonest({ cluster, report }: Scene): Promise<void> {
  const ages: string[] = [];
  for (const server of cluster.servers) {
    const { etcd, toleratedFailures } = await until(
      `${server.name} says that there is no quorum`,
      async () => {
        const status = await cluster.status(server);
        return status.etcd.quorum ? undefined : status;
      },
      { withinMs: ANSWER_MS_MAX },
    );
    assert.ok(etcd.viewAgeMs > 0);
    assert.equal(toleratedFailures, 0);
    const text = await server.run(["understudy", "status"]);
    assert.match(text, /no quorum .*nothing can be changed.* old\./);
    ages.push(`${server.name} ${seconds(etcd.viewAgeMs)}`);
  }
  report(`status answers without quorum; age of its view: ${ages.join(", ")}`);
}

/** Every edge that runs gives out a certificate, the CA's, and the CRL. */
async function assertReadable({ cluster }: Scene, name: string): Promise<void> {
  for (const server of cluster.servers) {
    if (!(await server.isUp())) continue;
    for (const [path, expected] of [
      [`certificate/${name}.${AUTOSIGNED}`, /BEGIN CERTIFICATE/],
      ["certificate/ca", /BEGIN CERTIFICATE/],
      ["certificate_revocation_list/ca", /BEGIN X509 CRL/],
    ] as const) {
      const url = `https://${server.fqdn}:8140/puppet-ca/v1/${path}`;
      const { status, body, because } = await knock(cluster.agentHost, url);
      assert.equal(status, 200, `${server.name} ${path}: ${body} ${because}`);
      assert.match(body, expected);
    }
  }
}

/** An agent nobody has seen gets CA certificate and CRL; a known one its certificate once more. */
async function assertAgentsFetch(scene: Scene): Promise<void> {
  const { cluster, report } = scene;
  const host = cluster.agentHost;
  const [stranger] = await createAgents(host, [`stranger${wallMs()}.${AUTOSIGNED}`]);
  assert.ok(stranger);
  const tried = await stranger.ssl("bootstrap", { args: ["--waitforcert", "0"] });
  assert.equal(tried.ok, false, "it can't be signed now");
  for (const file of ["certs/ca.pem", "crl.pem"]) {
    await host.run(["test", "-s", `${stranger.folder}/ssl/${file}`]);
  }
  assert.ok(known);
  const certificate = `${known.folder}/ssl/certs/${known.certname}.pem`;
  const before = await host.readFile(certificate);
  await host.run(["rm", certificate]);
  assertFine(await known.run({ withinMs: HUNG_MS }));
  assert.equal(await host.readFile(certificate), before);
  report(
    "with no daemon: a new agent got CA certificate and CRL, a known one its certificate again",
  );
}

/** A server that booted without daemon and quorum serves again, with what is on its disk. */
async function assertServesAlone({ cluster, report }: Scene, server: LabHost): Promise<void> {
  const from = wallMs();
  for (const unit of SERVING) {
    await until(
      `${unit} of ${server.name} after a boot without a daemon`,
      async () => (await server.exec(["systemctl", "is-active", "--quiet", unit])).code === 0,
      { withinMs: BOOTED_MS_MAX, everyMs: 500 },
    );
  }
  assert.notEqual((await server.exec(["systemctl", "is-active", "--quiet", DAEMON])).code, 0);
  const said = await server.run("journalctl --boot --unit understudy-edge --output=cat --no-pager");
  assert.match(said, /the edge starts with the revocations it has/);
  assert.ok(known);
  const args = ["--server", server.fqdn, "--ca_server", server.fqdn];
  assertFine(await known.run({ withinMs: HUNG_MS, args }));
  const holders = await Promise.all(
    cluster.servers.map(
      async (each) => (await findHolder([each], cluster.vip ?? "")) !== undefined,
    ),
  );
  assert.equal(holders.filter(Boolean).length, 1, "servers that hold the address");
  report(
    `${server.name} booted and served ${seconds(wallMs() - from)} later, daemon and quorum off`,
  );
}

/** The holder loses power; runs that were connected to its edge then are excused, and no others. */
async function cutPower(scene: Scene, holder: LabHost, others: readonly LabHost[]): Promise<void> {
  await using watch = await watchEdge(scene.cluster);
  const atMs = await holder.powerCut();
  const open = watch.connections.openAt(atMs);
  scene.excuse((run) => wasOnDeadEdge(run, { atMs, open }));
  await untilMoved(scene, others);
  const gapMs = await awaitReturn(watch.prober, atMs, MOVE_MS_MAX);
  const away = `away for ${seconds(gapMs)}, connected at the cut: ${open.join(", ") || "nobody"}`;
  scene.report(`power cut of ${holder.name} with no daemon and no quorum: ${away}`);
}

async function untilMoved({ cluster }: Scene, others: readonly LabHost[]): Promise<void> {
  const find = () => findHolder(others, cluster.vip ?? "");
  await until("the address on another server", find, { withinMs: MOVE_MS_MAX });
}

/** Takes back all that was done, in whatever state the servers are. */
async function bringBack({ cluster }: Scene): Promise<void> {
  await bootDead(cluster.servers);
  await startEtcd(cluster.servers);
  const start = `systemctl unmask ${DAEMON}; systemctl start --no-block ${DAEMON}`;
  await Promise.all(cluster.servers.map(async (server) => server.run(start)));
}
