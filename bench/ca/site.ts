// The set-ups that certificate authorities are measured on: stock puppetserver with its own CA, and
// clusters of ours. Both sign everything that comes; a fleet of former years may be there already.

import { openCluster } from "../../lab/cluster.ts";
import type { LabHost } from "../../lab/host.ts";
import { CA_DIRECTORY } from "../../lab/cluster/signings.ts";
import { orInterrupted } from "../../lab/interrupt.ts";
import { openLab } from "../../lab/lab.ts";
import { UNITS } from "../../src/host/paths.ts";
import type { OpenOptions } from "../bench.ts";
import { unitProcesses } from "../processes.ts";
import type { BareSite } from "../site.ts";
import type { Door, Identity } from "./connection.ts";
import { ensureFleet, type Fleet, type FleetPlan, placeFleet } from "./directory.ts";

const PORT = 8140;
const START_MS_MAX = 300_000;
const SETUP_MS_MAX = 120_000;
const SSL = "/var/lib/puppet/ssl";
/**
 * Stock's JVM as the package has it, not the lab's small one: it is to be no slower than it is at
 * home. The lab has a single JRuby, which a CA doesn't use.
 */
const JAVA_ARGS = "-Xms2g -Xmx2g -Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger";

export interface CaSite extends BareSite {
  /** Agents ask these. */
  doors: readonly Door[];
  /** PEM: what doors' certificates are checked with. */
  ca: string;
  /** May administer the CA. */
  admin: Identity;
  /** The fleet that was there before. */
  fleet: Fleet | undefined;
  /** The processes of the first server that do the CA's work, as numbers of this machine. */
  processes(): Promise<Record<string, number[]>>;
}

/** What `puppet agent` must be told is left out: nobody runs one. */
export async function openStock(
  { say, signal }: OpenOptions,
  plan: FleetPlan | undefined,
): Promise<CaSite> {
  const fleet = plan && (await orInterrupted(ensureFleet(plan, say), signal));
  const lab = await openLab({ hosts: ["s1", "a1"], say, signal });
  const setUp = async (): Promise<CaSite> => {
    const server = lab.host("s1");
    const conf = `[main]\ncertname = ${server.fqdn}\n[server]\nautosign = true\n`;
    await server.writeFile("/etc/puppet/puppet.conf", conf);
    const java = `s|^JAVA_ARGS=.*|JAVA_ARGS="${JAVA_ARGS}"|`;
    await server.run(["sed", "-i", java, "/etc/default/puppetserver"]);
    if (fleet === undefined) {
      const setup = ["puppetserver", "ca", "setup", "--certname", server.fqdn];
      await server.run(setup, { withinMs: SETUP_MS_MAX });
    } else await placeFleet(server, fleet);
    say("s1: stock puppetserver with its own CA");
    await server.run("systemctl enable --now puppetserver", { withinMs: START_MS_MAX });
    const base: BareSite = {
      kind: "baseline",
      lab,
      servers: [server],
      agentHost: lab.host("a1"),
    };
    return describe(base, fleet, { java: "puppetserver.service" });
  };
  try {
    return await orInterrupted(setUp(), signal);
  } catch (error) {
    await lab.down();
    throw error;
  }
}

/** A cluster of `servers` servers, the first of which takes the fleet's CA over. */
export async function openOurs(
  { say, signal }: OpenOptions,
  servers: number,
  plan: FleetPlan | undefined,
): Promise<CaSite> {
  const fleet = plan && (await orInterrupted(ensureFleet(plan, say), signal));
  const prepare = async (server: LabHost) => {
    await server.run("puppet config set autosign true --section server");
    if (fleet !== undefined && server.name === "s1") await placeFleet(server, fleet);
  };
  const cluster = await openCluster({ servers, vip: false, prepare, say, signal });
  const { lab, agentHost } = cluster;
  const base: BareSite = { kind: "understudy", lab, servers: cluster.servers, agentHost };
  if (plan !== undefined) {
    say("waiting until every server has the fleet's certificates on disk");
    for (const server of cluster.servers) await untilOnDisk(server, plan);
  }
  const { daemon, etcd, edge: haproxy } = UNITS;
  return describe(base, fleet, { daemon, etcd, haproxy });
}

/** A server that has joined writes a file for each certificate of the fleet: that isn't measured. */
async function untilOnDisk(server: LabHost, { certificates }: FleetPlan): Promise<void> {
  const has = `test "$(ls -U ${CA_DIRECTORY}/signed | wc -l)" -ge ${certificates}`;
  await server.untilHolds(has, START_MS_MAX);
}

async function describe(
  base: BareSite,
  fleet: Fleet | undefined,
  units: Record<string, string>,
): Promise<CaSite> {
  const [first] = base.servers;
  if (first === undefined) throw new Error("a set-up without servers");
  return {
    ...base,
    doors: base.servers.map(({ name, address, fqdn }) => ({
      name,
      address,
      port: PORT,
      serverName: fqdn,
    })),
    ca: await first.readFile(`${SSL}/certs/ca.pem`),
    admin: {
      certificate: await first.readFile(`${SSL}/certs/${first.fqdn}.pem`),
      key: await first.readFile(`${SSL}/private_keys/${first.fqdn}.pem`),
    },
    fleet,
    processes: async () => {
      const found: Record<string, number[]> = {};
      for (const [name, unit] of Object.entries(units))
        found[name] = await unitProcesses(first, unit);
      return found;
    },
  };
}
