// etcd on lab servers, stopped as an administrator stops it.

import { until } from "../../src/base/retry.ts";
import type { LabHost } from "../host.ts";

export const ETCD = "understudy-etcd.service";
const STOP_MS_MAX = 60_000;

/**
 * Stops it on all of them. While enough of them still run for a quorum, a daemon starts its own
 * again, also in the midst of the stop: so all are told until none runs.
 */
export async function stopEtcd(servers: readonly LabHost[]): Promise<void> {
  const stopped = async () => {
    await Promise.all(servers.map(async (server) => server.exec(`systemctl stop ${ETCD}`)));
    const looks = servers.map(async (server) => server.exec(`systemctl is-active ${ETCD}`));
    return (await Promise.all(looks)).every(({ code }) => code !== 0);
  };
  await until("etcd is stopped", stopped, { withinMs: STOP_MS_MAX });
}
