// While a member is taken out its vote goes over to another, which takes a while: what the cluster
// is at meanwhile is said as it changes.

import { pause } from "../base/retry.ts";
import { ClusterStatus, planningOf } from "../cluster/status.ts";
import { callDaemon } from "./daemon-client.ts";

const LOOK_MS = 2000;

/** Gives what `work` gives; until then tells `progress` each new thing that etcd's leader plans. */
export async function tellPlanning<T>(
  work: Promise<T>,
  progress: (line: string) => void,
): Promise<T> {
  const done = new AbortController();
  const watch = async () => {
    let said = "";
    while (!done.signal.aborted) {
      const status = await callDaemon("GET", "/v1/status", { answer: ClusterStatus }).catch(
        () => undefined,
      );
      const planning = status === undefined ? said : planningOf(status).join(" ");
      if (planning !== said && planning !== "" && !done.signal.aborted)
        progress(`   … ${planning}`);
      said = planning;
      await pause(LOOK_MS, done.signal);
    }
  };
  void watch();
  try {
    return await work;
  } finally {
    done.abort();
  }
}
