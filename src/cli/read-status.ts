// The cluster's status as this server's daemon puts it together.

import { ClusterStatus } from "../cluster/status.ts";
import { callDaemon } from "../setup/daemon-client.ts";

/** The daemon waits 3 s for each member, all at once: one that takes longer doesn't run right. */
const ASK_MS = 10_000;

export async function readStatus(signal?: AbortSignal): Promise<ClusterStatus> {
  const options = { answer: ClusterStatus, withinMs: ASK_MS, ...(signal && { signal }) };
  return callDaemon("GET", "/v1/status", options);
}
