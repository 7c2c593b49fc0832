// What benches need of a set-up under test, so that one measurement serves Understudy and the
// baseline.

import { Fault } from "../src/base/fault.ts";
import { type Agent, createAgents } from "../lab/agents.ts";
import type { Cluster } from "../lab/cluster.ts";
import { AUTOSIGNED, type CompileMood } from "../lab/cluster/site.ts";
import type { LabHost } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";

const ENROL_AT_ONCE = 2;
const ENROL_MS_MAX = 600_000;

/** The least that there is of every set-up. */
export interface BareSite {
  kind: "understudy" | "baseline";
  lab: Lab;
  servers: readonly LabHost[];
  agentHost: LabHost;
}

/** A set-up that agents run on. */
export interface Site extends BareSite {
  /** The virtual address without prefix. */
  vip: string;
  holder(): Promise<LabHost | undefined>;
  /** Sets how catalogs of a node are compiled on every server. */
  mood(certname: string, mood: CompileMood): Promise<void>;
  /** Agents that have their certificate and have run once. */
  agents(names: readonly string[]): Promise<Agent[]>;
  /** An agent that has done nothing yet. */
  newcomer(name: string): Promise<Agent>;
  /** Waits until everything runs everywhere. */
  untilWhole(): Promise<void>;
  /** Waits until every server could take the address; puppetservers may be down. */
  untilStandby(): Promise<void>;
}

/** A cluster of ours as benches see it. */
export function siteOf(cluster: Cluster): Site {
  const { lab, servers, agentHost, vip } = cluster;
  if (vip === undefined) throw new Fault("bench.no-address", "the cluster has no virtual address");
  const full = (name: string) => (name.includes(".") ? name : `${name}.${AUTOSIGNED}`);
  return {
    kind: "understudy",
    lab,
    servers,
    agentHost,
    vip,
    holder: () => cluster.holder(),
    mood: (certname, mood) => cluster.mood(certname, mood),
    agents: async (names) => {
      const agents = await createAgents(agentHost, names.map(full));
      await enrol(agents);
      return agents;
    },
    newcomer: async (name) => {
      const [agent] = await createAgents(agentHost, [full(name)]);
      if (agent !== undefined) return agent;
      throw new Fault("bench.no-agent", `no agent ${name} was made`);
    },
    untilWhole: () => cluster.untilWhole(),
    untilStandby: () => cluster.untilWhole({ puppetservers: false }),
  };
}

/**
 * Gives agents their certificate and a first run. Two at a time: at a stock puppetserver each waits
 * for half a minute, and a first run has much to fetch. Fault `bench.no-agent`.
 */
export async function enrol(agents: readonly Agent[]): Promise<void> {
  for (let first = 0; first < agents.length; first += ENROL_AT_ONCE) {
    const some = agents.slice(first, first + ENROL_AT_ONCE);
    const runs = await Promise.all(some.map((agent) => agent.run({ withinMs: ENROL_MS_MAX })));
    const failed = runs.find((run) => !run.ok);
    if (failed !== undefined) {
      throw new Fault("bench.no-agent", `${failed.agent} could not enrol`, {
        hints: [failed.output],
      });
    }
  }
}
