// Who watches the virtual address from the agents' host while something happens to the servers
// behind it: a prober, and the listing of agents' open connections.

import type { Cluster } from "../cluster.ts";
import { type Prober, startProber } from "../prober.ts";
import { type ConnectionWatch, watchConnections } from "./connections.ts";

const AGENTS_PORT = 8140;

export interface EdgeWatch extends AsyncDisposable {
  prober: Prober;
  connections: ConnectionWatch;
}

/** Starts both; disposing of the watch ends them. */
export async function watchEdge(cluster: Cluster): Promise<EdgeWatch> {
  const { agentHost, lab, vip = "" } = cluster;
  const place = { host: agentHost.name, address: vip, port: AGENTS_PORT };
  await using stack = new AsyncDisposableStack();
  const connections = stack.use(await watchConnections(lab, place));
  const prober = stack.use(await startProber(lab, place));
  const kept = stack.move();
  return { prober, connections, [Symbol.asyncDispose]: async () => kept.disposeAsync() };
}
