// The API for people on three servers: on the network in seconds and off again, a token of one
// server good at all, signing through it, answers without etcd, a token that ends everywhere, and a
// stranger who floods it. Agents run all the while.

import assert from "node:assert/strict";
import { z } from "zod";
import { until } from "../../../src/base/retry.ts";
import { ApiStatus } from "../../../src/cluster/api-status.ts";
import { ClusterStatus } from "../../../src/cluster/status.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { AccessMade, AccessRevoked, ApiShown, CaOutcome } from "../../../src/setup/contract.ts";
import { createAgents } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import { assertFine } from "../../cluster/compiles.ts";
import { HUNG_MS } from "../../cluster/crew.ts";
import { type Answer, knock } from "../../cluster/knock.ts";
import { startEtcd, stopEtcd } from "../../cluster/etcd.ts";
import { lasting, scenario, type Scene, seconds } from "../../cluster/scenario.ts";
import type { LabHost } from "../../host.ts";

const DAEMON = "understudy.service";
const PORT = 9143;
const HEALTH_PORT = 9144;
const UNCONFIRMED = 3;
const COMMAND_MS_MAX = 60_000;
const SOON = { withinMs: 60_000, everyMs: 200 };
const FLOOD_MS = 30_000;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

/** Longer than a leader's lease. */
const LEADS_MS_MAX = 60_000;

/** Runs a command of ours; throws what it says where it doesn't exit with `code`. */
async function command<S extends z.ZodType>(
  server: LabHost,
  words: readonly string[],
  answer: S,
  code = 0,
): Promise<z.infer<S>> {
  const argv = ["understudy", ...words, "--json"];
  const done = await server.exec(argv, { withinMs: COMMAND_MS_MAX });
  assert.equal(done.code, code, `${argv.join(" ")}\n${done.stdout}${done.stderr}`);
  return answer.parse(JSON.parse(done.stdout));
}

async function listen(cluster: Cluster): Promise<void> {
  await command(cluster.first, ["api", "listen", "--health"], ApiShown);
}

async function makeToken(server: LabHost, role: string): Promise<{ name: string; token: string }> {
  const name = `${role}${wallMs()}`;
  return command(server, ["access", "create", name, "--role", role], AccessMade);
}

/** Asks the API of `server` from the agents' host. */
async function ask(
  { agentHost }: Cluster,
  server: LabHost,
  path: string,
  { token, method = "GET", body }: { token?: string; method?: string; body?: unknown } = {},
): Promise<Answer> {
  const headers = token === undefined ? [] : [`Authorization: Bearer ${token}`];
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const url = `https://${server.fqdn}:${PORT}${path}`;
  return knock(agentHost, url, { method, headers, ...sent });
}

async function health(cluster: Cluster, server: LabHost, check: string): Promise<number> {
  const url = `http://${server.fqdn}:${HEALTH_PORT}/health/${check}`;
  return (await knock(cluster.agentHost, url)).status;
}

/** Sees to it that the API is off and etcd runs, whatever the hazard got to. */
function tidyUp({ cluster, undo }: Scene): void {
  undo(async () => {
    await startEtcd(cluster.servers);
    const start = `systemctl start --no-block ${DAEMON}`;
    await Promise.all(cluster.servers.map(async (server) => server.run(start)));
    await cluster.untilWhole();
    await command(cluster.first, ["api", "off"], ApiShown);
  });
}

hazard(
  "on the network on every server with its Puppet certificate, and off again",
  async (scene) => {
    const { cluster, crew, report } = scene;
    tidyUp(scene);
    for (const server of cluster.servers) {
      assert.equal((await ask(cluster, server, "/health/live")).status, 0, "off until it is set");
    }
    const fromMs = wallMs();
    await listen(cluster);
    report(`on the network of all servers after ${seconds(wallMs() - fromMs)}`);
    for (const server of cluster.servers) {
      assert.equal((await ask(cluster, server, "/health/ready")).status, 200);
      assert.equal((await ask(cluster, server, "/v1/status")).status, 401);
      assert.equal((await ask(cluster, server, "/metrics")).status, 401);
      assert.equal(await health(cluster, server, "edge"), 200);
      assert.equal(await health(cluster, server, "ca"), 200);
    }
    const leaders = async () => {
      const asked = cluster.servers.map(async (server) => health(cluster, server, "leader"));
      return (await Promise.all(asked)).filter((status) => status === 200).length;
    };
    // For a moment none does; never two.
    await until(
      "one leads",
      async () => {
        const count = await leaders();
        assert.ok(count <= 1, `${count} lead`);
        return count === 1;
      },
      { withinMs: LEADS_MS_MAX },
    );
    const ca = `${crew.agents[0]?.folder}/ssl/certs/ca.pem`;
    const trusted = `curl -sS --cacert ${ca} https://${cluster.first.fqdn}:${PORT}/health/live`;
    assert.match(await cluster.agentHost.run(trusted), /"ok":true/);
    await command(cluster.first, ["api", "off"], ApiShown);
    for (const server of cluster.servers) {
      assert.equal((await ask(cluster, server, "/health/live")).status, 0);
    }
  },
);

hazard(
  "a token made on one server signs on another, and does no more than its role",
  async (scene) => {
    const { cluster } = scene;
    tidyUp(scene);
    await listen(cluster);
    const [first, second, third] = cluster.servers;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const [viewer, operator] = [
      await makeToken(first, "viewer"),
      await makeToken(second, "operator"),
    ];
    for (const server of cluster.servers) {
      for (const { token } of [viewer, operator]) {
        await until(
          `${server.name} knows the token`,
          async () => (await ask(cluster, server, "/v1/status", { token })).status === 200,
          SOON,
        );
      }
    }
    const [agent] = await createAgents(cluster.agentHost, [`asks${wallMs()}.lab.test`]);
    assert.ok(agent);
    const submitted = await agent.ssl("submit_request");
    assert.ok(submitted.ok, submitted.stdout + submitted.stderr);
    const request = { method: "POST", body: { names: [agent.certname] } };
    const refused = await ask(cluster, third, "/v1/ca/sign", { ...request, token: viewer.token });
    assert.equal(refused.status, 403, refused.body);
    const revoked = await ask(cluster, third, "/v1/ca/revoke", {
      ...request,
      token: operator.token,
    });
    assert.equal(revoked.status, 403, revoked.body);
    const signed = await ask(cluster, third, "/v1/ca/sign", { ...request, token: operator.token });
    assert.equal(signed.status, 200, signed.body);
    assert.ok(
      CaOutcome.parse(JSON.parse(signed.body)).results.every(({ ok }) => ok),
      signed.body,
    );
    assertFine(await agent.run({ withinMs: HUNG_MS }));
    const audit = `journalctl -u ${DAEMON} -o cat --since=-10min | grep '"audit":true' | grep '${agent.certname}'`;
    assert.match(await third.run(audit), new RegExp(`"who":"${operator.name}"`));
    const secrets = [viewer, operator].map(({ token }) => token.split(".")[2] ?? "?");
    for (const server of cluster.servers) {
      const journal = await server.run(`journalctl -u ${DAEMON} -o cat --since=-10min`);
      assert.ok(!secrets.some((secret) => journal.includes(secret)), "a token is in the journal");
    }
  },
);

hazard(
  "without etcd's quorum every server answers for the cluster, started anew too",
  async (scene) => {
    const { cluster } = scene;
    tidyUp(scene);
    await listen(cluster);
    const { token } = await makeToken(cluster.first, "admin");
    const isKnown = async (server: LabHost) => {
      return (await ask(cluster, server, "/v1/status", { token })).status === 200;
    };
    for (const server of cluster.servers) {
      await until(`${server.name} knows the token`, async () => isKnown(server), SOON);
    }
    const stopped = cluster.servers.slice(1);
    await stopEtcd(stopped);
    await Promise.all(
      cluster.servers.map(async (server) => server.run(`systemctl restart ${DAEMON}`)),
    );
    for (const server of cluster.servers) {
      await until(`${server.name} answers`, async () => isKnown(server), SOON);
      const { body } = await ask(cluster, server, "/v1/status", { token });
      assert.equal(ClusterStatus.parse(JSON.parse(body)).etcd.quorum, false);
      const options = { token, method: "POST", body: { voters: 3 } };
      const change = await ask(cluster, server, "/v1/voters", options);
      assert.equal(change.status, 503, change.body);
      assert.match(change.body, /"code":"etcd\./);
      assert.equal(await health(cluster, server, "live"), 200);
      assert.equal(await health(cluster, server, "edge"), 200);
    }
  },
);

hazard(
  "a revoked token ends everywhere; a server that is cut off is named, and follows",
  async (scene) => {
    const { cluster, report } = scene;
    tidyUp(scene);
    await listen(cluster);
    const [first, , last] = cluster.servers;
    assert.ok(first !== undefined && last !== undefined);
    const [goes, stays] = [await makeToken(first, "viewer"), await makeToken(first, "viewer")];
    const knows = async (server: LabHost, { token }: { token: string }) => {
      return (await ask(cluster, server, "/v1/status", { token })).status === 200;
    };
    for (const server of cluster.servers) {
      await until(
        `${server.name} knows both`,
        async () => (await knows(server, goes)) && knows(server, stays),
        SOON,
      );
    }
    const fromMs = wallMs();
    await command(first, ["access", "revoke", goes.name], AccessRevoked);
    report(`revoke had every server's word after ${seconds(wallMs() - fromMs)}`);
    for (const server of cluster.servers) assert.equal(await knows(server, goes), false);

    await last.run(`systemctl stop ${DAEMON}`);
    const words = ["access", "revoke", stays.name];
    const { missing } = await command(first, words, AccessRevoked, UNCONFIRMED);
    assert.deepEqual(
      missing.map(({ member }) => member),
      [last.fqdn],
    );
    await last.run(`systemctl start ${DAEMON}`);
    await until(
      `${last.name} refuses it`,
      async () => (await ask(cluster, last, "/v1/status", { token: stays.token })).status === 401,
      SOON,
    );
  },
);

hazard(
  "a stranger who floods it: agents notice nothing, and who has a token gets in",
  async (scene) => {
    const { cluster, crew, report, undo } = scene;
    tidyUp(scene);
    await listen(cluster);
    const { token } = await makeToken(cluster.first, "viewer");
    const target = cluster.first;
    const wrong = `UA1.0123456789ab.${"x".repeat(43)}`;
    const one = `while true; do curl -sk -o /dev/null -H 'Authorization: Bearer ${wrong}' https://${target.fqdn}:${PORT}/v1/status; done`;
    const flood = await cluster.agentHost.start(`for i in $(seq 4); do (${one}) & done; wait`);
    undo(async () => flood.kill());
    const fromMs = wallMs();
    await lasting(FLOOD_MS);
    // From another address than the flood's.
    const asked = `curl -sk -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer ${token}' https://${target.fqdn}:${PORT}/v1/status`;
    assert.equal(await cluster.servers[1]?.run(asked), "200");
    const { members } = await cluster.status(cluster.servers[1]);
    const local = members.find(({ member }) => member.id === target.fqdn)?.local;
    assert.equal(local?.ca?.serving, true);
    const { refused } = ApiStatus.parse(local?.api);
    assert.ok(refused > 0);
    await crew.assertUnharmed(fromMs);
    report(`${refused} wrong tokens were heard in ${seconds(wallMs() - fromMs)}`);
  },
);
