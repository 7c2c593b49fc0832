// The cluster's own certificates are renewed at half of their life, by themselves: one server's are
// made to look old, and every door of it shows new ones soon. Agents run all the while.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { LEAVES_OF_ROLE } from "../../../src/cluster/pki.ts";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import { PORTS } from "../../../src/host/paths.ts";
import { ageLeaves, leafAgeDays, shownAgeDays } from "../../cluster/aged-leaves.ts";
import { scenario } from "../../cluster/scenario.ts";
import { startStock } from "../../cluster/stock.ts";

const RENEWED_MS_MAX = 180_000;
/** New certificates are dated a day back. */
const NEW_DAYS_MAX = 2;
const DOORS = [
  PORTS.control,
  PORTS.authority,
  PORTS.etcdClient,
  PORTS.etcdPeer,
  PORTS.puppetserver,
];

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

hazard("old certificates are renewed, and every door shows the new ones", async (scene) => {
  const { cluster, report } = scene;
  const holder = await cluster.holder();
  const server = cluster.servers.find((each) => each !== holder);
  assert.ok(server);
  await ageLeaves(server, server, LEAVES_OF_ROLE.server);
  // As after a start long ago: every program has loaded the old ones.
  await startStock(server, "restart");
  for (const unit of ["understudy-etcd", "understudy", "understudy-edge"]) {
    await server.run(`systemctl restart ${unit}`, { withinMs: RENEWED_MS_MAX });
  }
  await until(
    "new certificates on disk",
    async () => {
      const ages = LEAVES_OF_ROLE.server.map(async (leaf) => leafAgeDays(server, leaf));
      return (await Promise.all(ages)).every((days) => days < NEW_DAYS_MAX);
    },
    { withinMs: RENEWED_MS_MAX, everyMs: 500 },
  );
  for (const port of DOORS) {
    await until(
      `a new certificate at port ${port}`,
      async () => (await shownAgeDays(server, port).catch(() => NEW_DAYS_MAX)) < NEW_DAYS_MAX,
      { withinMs: RENEWED_MS_MAX, everyMs: 500 },
    );
  }
  await cluster.untilWhole();
  const hasNone = ({ warnings }: ClusterStatus) => warnings.length === 0;
  await cluster.until("nothing to warn of", hasNone, RENEWED_MS_MAX);
  report(`${server.name} renewed ${LEAVES_OF_ROLE.server.join(", ")}`);
});
