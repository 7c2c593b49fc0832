// etcd on lab servers, kept from running for a while.

import type { LabHost } from "../host.ts";

const ETCD = "understudy-etcd.service";

/**
 * Stops it on all of them until `startEtcd`, or the server's next boot. Masked: as long as enough
 * of them run for a quorum a daemon starts its own again, also a moment after it was stopped.
 */
export async function stopEtcd(servers: readonly LabHost[]): Promise<void> {
  const stop = `systemctl mask --runtime ${ETCD} && systemctl stop ${ETCD}`;
  await Promise.all(servers.map(async (server) => server.run(stop)));
}

/** Has it run again, without waiting for that; also where it was never stopped. */
export async function startEtcd(servers: readonly LabHost[]): Promise<void> {
  const start = `systemctl unmask --runtime ${ETCD} && systemctl start --no-block ${ETCD}`;
  await Promise.all(servers.map(async (server) => server.run(start)));
}
