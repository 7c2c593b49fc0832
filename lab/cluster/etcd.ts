// etcd on lab servers, stopped as an administrator stops it.

import type { LabHost } from "../host.ts";

export const ETCD = "understudy-etcd.service";

/**
 * Stops it on all of them. While enough of them still run for a quorum, a daemon may start its own
 * again just then, which cancels the stop: so it is told again.
 */
export async function stopEtcd(servers: readonly LabHost[]): Promise<void> {
  const stop = `for try in 1 2 3 4 5; do systemctl stop ${ETCD} && exit; done; exit 1`;
  await Promise.all(servers.map(async (server) => server.run(stop)));
}
