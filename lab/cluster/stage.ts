// A cluster with everybody on it who witnesses what happens: agents that run all the time, and
// those who watch the virtual address.

import type { Agent, AgentLoop } from "../agents.ts";
import type { Cluster } from "../cluster.ts";
import type { ConnectionWatch } from "./connections.ts";
import type { Prober } from "../prober.ts";

export interface Stage {
  cluster: Cluster;
  /** Gets lines for people. */
  say: (line: string) => void;
  agents: readonly Agent[];
  loop: AgentLoop;
  prober: Prober;
  connections: ConnectionWatch;
}
