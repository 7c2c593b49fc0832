// What an administrator types on lab servers, and what comes back.

import { ClusterStatus } from "../../src/cluster/status.ts";
import type { LabHost } from "../host.ts";
import { addressOf, SHARED_NAME, VIRTUAL_ADDRESS } from "../plan.ts";

/** What sets up the first server. */
export const INIT = `understudy init --name ${SHARED_NAME} --vip ${VIRTUAL_ADDRESS}/24`;
/** Where the first server lets others join. */
export const URL = `https://${addressOf("s1")}:9140`;

const STATUS_MS_MAX = 60_000;

/** The cluster's status as `host` tells it. Throws when it can't. */
export async function statusOf(host: LabHost, withinMs = STATUS_MS_MAX): Promise<ClusterStatus> {
  const text = await host.run(["understudy", "status", "--json"], { withinMs });
  return ClusterStatus.parse(JSON.parse(text));
}
