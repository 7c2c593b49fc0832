// One member at a time does something that must not happen on two at once for comfort: a key with a
// lease. Nothing is safe because of it (P6); a member that dies in its turn only delays the others.

import type { Etcd } from "../etcd/types.ts";

/**
 * Does `work` if nobody else is at the same now, and says whether it did. A turn that isn't given
 * back ends after `leaseS` seconds, which must be longer than `work` takes.
 */
export async function inTurn(
  etcd: Etcd,
  turn: { key: string; id: string; leaseS: number },
  work: () => Promise<void>,
): Promise<boolean> {
  const { key, id, leaseS } = turn;
  // Granting a lease is a write: look first.
  if ((await etcd.get(key)) !== undefined) return false;
  const lease = await etcd.lease.grant(leaseS);
  try {
    const value = JSON.stringify({ id, lease });
    const { ok } = await etcd.transact(
      { when: [{ key, is: "absent" }], then: [{ put: key, value, lease }] },
      { settle: { key, value } },
    );
    if (ok) await work();
    return ok;
  } finally {
    // Whoever can't give it back now lets it end by itself.
    await etcd.lease.revoke(lease).catch(() => undefined);
  }
}
