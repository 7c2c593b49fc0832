// Where the state of alerts is kept: in the record for the cluster's, in memory for what a server
// says when there is no record. Both are changed by pure functions; the record's by a compare.

import { ALERTS_KEY } from "../cluster/keys.ts";
import { parseKept, update } from "../cluster/record.ts";
import type { Etcd } from "../etcd/types.ts";
import { AlertState, NO_ALERTS } from "./state.ts";

export interface AlertStore {
  read(): Promise<AlertState>;
  /** Changes it by `by`, which may run again where somebody else was first. */
  change(by: (state: AlertState) => AlertState): Promise<AlertState>;
}

export function recordStore(etcd: Etcd): AlertStore {
  return {
    async read() {
      const kv = await etcd.get(ALERTS_KEY);
      return kv === undefined ? NO_ALERTS : parseKept(AlertState, kv).value;
    },
    async change(by) {
      let after = NO_ALERTS;
      await update(etcd, ALERTS_KEY, AlertState, (before) => {
        after = by(before ?? NO_ALERTS);
        // Nothing is written where there is nothing to say.
        return before === undefined && after === NO_ALERTS ? undefined : after;
      });
      return after;
    },
  };
}

export function memoryStore(): AlertStore {
  let state = NO_ALERTS;
  return {
    read: async () => state,
    async change(by) {
      state = by(state);
      return state;
    },
  };
}
