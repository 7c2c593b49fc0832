// The CA directory while no daemon runs, and the commands that look after it: what stock's offline
// tools do there is taken in, `ca verify` says whether everything fits, servers' certificates get a
// name that is added later. Agents run all the while.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import type { Cluster } from "../../cluster.ts";
import { scenario } from "../../cluster/scenario.ts";
import { CA_DIRECTORY } from "../../cluster/signings.ts";
import type { LabHost } from "../../host.ts";

const CHANGE_MS_MAX = 120_000;
const SETTLED_MS_MAX = 60_000;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

hazard("what stock's tools do while no daemon runs is in the record afterwards", async (scene) => {
  const { cluster, undo, report } = scene;
  const [server, other] = [cluster.first, cluster.servers.at(-1) ?? cluster.first];
  const name = `offline${wallMs()}.lab.test`;
  undo(async () => daemons(cluster, "start"));
  await daemons(cluster, "stop");
  const generate = `puppetserver ca generate --ca-client --certname ${name}`;
  const said = await server.exec(generate, { withinMs: CHANGE_MS_MAX });
  assert.equal(said.code, 0, said.stdout + said.stderr);
  await daemons(cluster, "start");
  await until(
    "another server knows it",
    async () => (await other.exec(["understudy", "ca", "show", name])).ok,
    { withinMs: SETTLED_MS_MAX, everyMs: 500 },
  );
  await cluster.untilWhole();
  await verified(server);
  const revoked = await other.run(["understudy", "ca", "revoke", name], {
    withinMs: CHANGE_MS_MAX,
  });
  assert.match(revoked, /refused by 3 of 3 edges/);
  report(`${generate}: known to all, revoked by ${other.name}`);
});

hazard("ca verify finds what doesn't fit, and nothing once it does", async (scene) => {
  const { cluster, undo } = scene;
  const server = cluster.first;
  await verified(server);
  const stray = `${CA_DIRECTORY}/signed/stray.lab.test.pem`;
  undo(async () => server.run(["rm", "-f", stray]));
  await server.writeFile(stray, "garbage\n");
  const { code, stdout } = await server.exec(["understudy", "ca", "verify"]);
  assert.equal(code, 1, stdout);
  assert.match(stdout, new RegExp(`^${stray} +is unknown to the record$`, "m"));
  await server.run(["rm", "-f", stray]);
  await verified(server);
});

hazard("a name that is added later is in every server's certificate", async (scene) => {
  const { cluster, report } = scene;
  const name = `added${wallMs()}.lab.test`;
  const reissue = ["understudy", "ca", "reissue", "--alt-name", name, "10.88.0.77"];
  await cluster.first.run(reissue, { withinMs: CHANGE_MS_MAX });
  for (const server of cluster.servers) {
    const shown = await cluster.agentHost.run(
      `openssl s_client -connect ${server.address}:8140 < /dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName`,
    );
    for (const each of [`DNS:${name}`, "IP Address:10.88.0.77", `DNS:${cluster.sharedName}`]) {
      assert.ok(shown.includes(each), `${server.name}: ${shown}`);
    }
  }
  report(`${name} and an address are in 3 certificates`);
});

async function daemons({ servers }: Cluster, verb: "start" | "stop"): Promise<void> {
  await Promise.all(
    servers.map(async (server) =>
      server.run(`systemctl ${verb} understudy`, { withinMs: CHANGE_MS_MAX }),
    ),
  );
}

/** Waits until `understudy ca verify` finds nothing. */
async function verified(server: LabHost): Promise<void> {
  await until("ca verify finds nothing", async () => (await verify(server)).code === 0, {
    withinMs: SETTLED_MS_MAX,
    everyMs: 2000,
  }).catch(async (error: unknown) => {
    throw new Error((await verify(server)).stdout, { cause: error });
  });
}

async function verify(server: LabHost) {
  return server.exec(["understudy", "ca", "verify"], { withinMs: CHANGE_MS_MAX });
}
