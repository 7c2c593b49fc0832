// What the demo's acts share: the cluster, the agents that run all the time, and who watches.

import { type AgentLoop, loopAgents } from "../agents.ts";
import type { Agent } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import { type ConnectionWatch, watchConnections } from "../cluster/connections.ts";
import { VIRTUAL_ADDRESS } from "../plan.ts";
import { type Prober, startProber } from "../prober.ts";

const AGENTS_PORT = 8140;
/** Well above the read timeout below: an agent that gives up on its own says why. */
const HUNG_MS = 300_000;
/** What the documentation recommends; Puppet's default is 10 minutes. */
export const AGENT_SETTINGS = { http_read_timeout: "2m" };

export interface Stage {
  cluster: Cluster;
  say: (line: string) => void;
  agents: readonly Agent[];
  loop: AgentLoop;
  prober: Prober;
  connections: ConnectionWatch;
}

/** Starts the agents' loops, the prober and the watch on connections. */
export async function setStage(
  cluster: Cluster,
  agents: readonly Agent[],
  say: (line: string) => void,
): Promise<Stage> {
  const place = { host: cluster.agentHost.name, address: VIRTUAL_ADDRESS, port: AGENTS_PORT };
  const connections = await watchConnections(cluster.lab, place);
  const prober = await startProber(cluster.lab, place);
  const loop = loopAgents(agents, { withinMs: HUNG_MS });
  return { cluster, say, agents, loop, prober, connections };
}
