// Where the state of alerts is kept: in the record for the cluster's, on this server's disk for
// what it says when there is no record. Both are changed by pure functions; the record's by a
// compare.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { ALERTS_KEY } from "../cluster/keys.ts";
import { parseKept, update } from "../cluster/record.ts";
import type { Etcd } from "../etcd/types.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
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

/** In memory, and in `file` for a daemon that starts anew; it goes on where that can't be written. */
export async function fileStore(file: string, log: Log): Promise<AlertStore> {
  let state = await readKept(file);
  // One after the other, so that the file has the last.
  let writing = Promise.resolve();
  const write = async () => {
    await writeFileAtomic(file, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  };
  return {
    read: async () => state,
    async change(by) {
      const before = state;
      state = by(before);
      if (state === before) return state;
      writing = writing.then(write).catch((error: unknown) => {
        log.warn("what this server has told can't be kept", { why: messageOf(error) });
      });
      await writing;
      return state;
    },
  };
}

async function readKept(file: string): Promise<AlertState> {
  try {
    return AlertState.parse(JSON.parse((await readIfThere(file)) ?? "{}"));
  } catch {
    return NO_ALERTS;
  }
}
