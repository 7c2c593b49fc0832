// Agents' failed runs, fetched from the couriers that saw them: this server's own over its socket,
// others' through their daemons.

import { FailedRuns } from "../cluster/failed-runs.ts";
import { FAILED_RUNS_PATH } from "../courier/doors.ts";
import { askCourierJson } from "../setup/courier-client.ts";
import type { Core } from "./core.ts";

const ASK_MS = 3000;

/** What this server's courier has. Throws why it doesn't answer. */
export async function ownFailedRuns(): Promise<FailedRuns> {
  return FailedRuns.parse(await askCourierJson(FAILED_RUNS_PATH, { withinMs: ASK_MS }));
}

/** What the courier of the member `id` has. Throws why it can't be asked. */
export async function failedRunsOf(
  { node, keeper, peers }: Pick<Core, "node" | "keeper" | "peers">,
  id: string,
): Promise<FailedRuns | undefined> {
  if (id === node.id) return ownFailedRuns();
  const member = keeper.current()?.members.find((each) => each.id === id);
  if (member === undefined) return undefined;
  const options = { answer: FailedRuns, withinMs: 2 * ASK_MS };
  return peers.call(member.address, "/v1/failed-runs", options);
}
