// Who runs the chores that need one runner (growing etcd's voters): an etcd lease. It only avoids
// double work: every chore is safe when two run it (P6). Leadership ends here, by the monotonic
// clock from when the renewal was sent, before etcd can give the key to somebody else.

import type { Etcd } from "../etcd/types.ts";
import { monotonicMs } from "../host/clock.ts";
import { LEADER_KEY } from "./keys.ts";

const LEASE_S = 10;
/** Stop believing in the lease this long before etcd may end it. */
const MARGIN_MS = 2000;

export interface Leadership {
  /** Tries to become or stay leader; call it on every tick. Throws what etcd throws. */
  tick(): Promise<boolean>;
  holds(): boolean;
}

export function createLeadership(etcd: Etcd, id: string): Leadership {
  let lease: string | undefined;
  let untilMs = 0;
  const holds = () => lease !== undefined && monotonicMs() < untilMs;

  const acquire = async () => {
    const sentMs = monotonicMs();
    const fresh = await etcd.lease.grant(LEASE_S);
    // With the lease in it, the value is this attempt's own: a late copy of a former one isn't
    // ours.
    const value = JSON.stringify({ id, lease: fresh });
    const won = await etcd.transact(
      {
        when: [{ key: LEADER_KEY, is: "absent" }],
        then: [{ put: LEADER_KEY, value, lease: fresh }],
      },
      { settle: { key: LEADER_KEY, value } },
    );
    if (!won.ok) {
      await etcd.lease.revoke(fresh);
      return;
    }
    lease = fresh;
    untilMs = sentMs + LEASE_S * 1000 - MARGIN_MS;
  };
  const renew = async (held: string) => {
    const sentMs = monotonicMs();
    const seconds = await etcd.lease.keepAlive(held);
    if (seconds <= 0) lease = undefined;
    else untilMs = sentMs + seconds * 1000 - MARGIN_MS;
  };
  return {
    holds,
    async tick() {
      if (lease !== undefined) await renew(lease);
      // Granting a lease is a write: look first whether somebody leads.
      if (lease === undefined && (await etcd.get(LEADER_KEY)) === undefined) await acquire();
      return holds();
    },
  };
}
