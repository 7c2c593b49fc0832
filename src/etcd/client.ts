// The etcd client, put together. The idea: etcd's own JSON gateway over kept-alive HTTPS needs no
// library; each file beside this one is one concern of it.

import { createTransport } from "./attempt.ts";
import { createEndpoints } from "./endpoints.ts";
import { createLeases } from "./lease.ts";
import { alarms, compact, defragment, disarm, snapshot, status } from "./maintenance.ts";
import { createMembers } from "./members.ts";
import { get, pages, range } from "./read.ts";
import { shareWatch } from "./shared-watch.ts";
import { transact, type RevisionClient } from "./transaction.ts";
import type { Etcd, EtcdOptions } from "./types.ts";
import { watch } from "./watch.ts";

const ATTEMPT_MS_DEFAULT = 1000;

/**
 * A client of the cluster behind `endpoints`. Connects when first used. Throws Fault
 * `etcd.endpoints`.
 */
export function createEtcd(options: EtcdOptions): Etcd {
  const closed = new AbortController();
  const endpoints = createEndpoints(options.endpoints, {
    onFailed: (endpoint, why) =>
      options.log?.debug("an etcd member did not serve", { endpoint, why }),
  });
  let transport = createTransport(options.tls);
  const client: RevisionClient = {
    endpoints,
    transport: () => transport,
    attemptMs: options.attemptMs ?? ATTEMPT_MS_DEFAULT,
    newestRevision: 0,
    newestFrom: "",
  };
  const watchAlone: Etcd["watch"] = (prefix, how) => watch(client, prefix, how, closed.signal);
  return {
    get: (key, options) => get(client, key, options),
    range: (prefix, options) => range(client, prefix, options),
    pages: (prefix, options) => pages(client, prefix, options),
    transact: (txn, options) => transact(client, txn, options),
    watch:
      options.sharedPrefix === undefined
        ? watchAlone
        : shareWatch(watchAlone, options.sharedPrefix),
    lease: createLeases(client),
    members: createMembers(client),
    status: (endpoint, options) => status(client, endpoint, options),
    alarms: (options) => alarms(client, options),
    disarm: (options) => disarm(client, options),
    compact: (revision, options) => compact(client, revision, options),
    defragment: (endpoint, options) => defragment(client, endpoint, options),
    snapshot: (endpoint, path, options) => snapshot(client, endpoint, path, options),
    setEndpoints: (urls) => endpoints.set(urls),
    endpoints: () => endpoints.all(),
    setTls(tls) {
      const old = transport;
      transport = createTransport(tls);
      old.retire();
    },
    close() {
      closed.abort();
      transport.close();
    },
  };
}
