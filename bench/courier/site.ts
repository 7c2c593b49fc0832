// What the courier is measured on: two servers, each with a PuppetDB and a courier. The first
// PuppetDB has a listener of its own besides, as it has without couriers: the way straight to it.

import { openCluster } from "../../lab/cluster.ts";
import { startPuppetdb } from "../../lab/cluster/puppetdb.ts";
import type { LabHost } from "../../lab/host.ts";
import { until } from "../../src/base/retry.ts";
import { PORTS } from "../../src/host/paths.ts";
import type { OpenOptions } from "../bench.ts";
import type { BareSite } from "../site.ts";
import type { Door } from "./load-plan.ts";

const STRAIGHT_PORT = 8083;
const ENABLE_MS_MAX = 600_000;
const START_MS_MAX = 400_000;
const DRAIN_MS_MAX = 600_000;
const SSL = "/var/lib/puppet/ssl";
const JETTY_INI = "/etc/puppetdb/conf.d/jetty.ini";

export interface CourierSite extends BareSite {
  server: LabHost;
  straight: Door;
  courier: Door;
  /** Waits until every command is in both PuppetDBs. */
  untilDrained(): Promise<void>;
}

export async function openCouriers({ say, signal }: OpenOptions): Promise<CourierSite> {
  const cluster = await openCluster({ servers: 2, vip: false, say, signal });
  try {
    const [s1, s2] = cluster.servers as [LabHost, LabHost];
    for (const server of [s1, s2]) {
      say(`${server.name}: PuppetDB, and a courier in front of it`);
      await startPuppetdb(server);
      await server.run("understudy puppetdb enable", { withinMs: ENABLE_MS_MAX });
    }
    await s2.run("understudy puppetdb accept --force");
    await listenStraight(s1);
    const door = await describeDoor(s1);
    return {
      kind: "understudy",
      lab: cluster.lab,
      servers: cluster.servers,
      agentHost: cluster.agentHost,
      server: s1,
      straight: { ...door, port: STRAIGHT_PORT },
      courier: { ...door, port: PORTS.courier },
      untilDrained: async () => {
        for (const server of [s1, s2]) {
          await until("every command is stored", async () => (await waiting(server)) === 0, {
            withinMs: DRAIN_MS_MAX,
            everyMs: 1000,
          });
        }
      },
    };
  } catch (error) {
    await cluster.down();
    throw error;
  }
}

/** Commands that wait in the couriers, and in the PuppetDB of `server`. */
async function waiting(server: LabHost): Promise<number> {
  const { puppetdbs } = JSON.parse(await server.run("understudy puppetdb status --json")) as {
    puppetdbs: { commands: number }[];
  };
  const url = "http://127.0.0.1:8080/status/v1/services/puppetdb-status";
  const { status } = JSON.parse(await server.run(["curl", "-sSf", url])) as {
    status: { queue_depth: number };
  };
  return puppetdbs.reduce((sum, { commands }) => sum + commands, status.queue_depth);
}

async function listenStraight(server: LabHost): Promise<void> {
  const folder = "/etc/puppetdb/straight";
  const { fqdn } = server;
  await server.run([
    "bash",
    "-c",
    `install -d -o puppetdb -m 700 ${folder}
    install -o puppetdb -m 600 ${SSL}/certs/${fqdn}.pem ${folder}/cert.pem
    install -o puppetdb -m 600 ${SSL}/private_keys/${fqdn}.pem ${folder}/key.pem
    install -o puppetdb -m 600 ${SSL}/certs/ca.pem ${folder}/ca.pem`,
  ]);
  const own = await server.readFile(JETTY_INI);
  const more = [
    `ssl-host = 0.0.0.0`,
    `ssl-port = ${STRAIGHT_PORT}`,
    `ssl-cert = ${folder}/cert.pem`,
    `ssl-key = ${folder}/key.pem`,
    `ssl-ca-cert = ${folder}/ca.pem`,
  ];
  await server.writeFile(JETTY_INI, `${own.trimEnd()}\n${more.join("\n")}\n`);
  await server.run("systemctl restart puppetdb", { withinMs: START_MS_MAX });
}

async function describeDoor(server: LabHost): Promise<Omit<Door, "port">> {
  return {
    address: server.address,
    serverName: server.fqdn,
    ca: await server.readFile(`${SSL}/certs/ca.pem`),
    certificate: await server.readFile(`${SSL}/certs/${server.fqdn}.pem`),
    key: await server.readFile(`${SSL}/private_keys/${server.fqdn}.pem`),
  };
}
