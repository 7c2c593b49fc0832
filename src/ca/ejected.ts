// The cluster's CA has ended and stock Puppet Server's goes on: what that means for whoever still
// asks for a change here. Pure.

import { Fault } from "../base/fault.ts";
import type { Ejected } from "../cluster/schema.ts";

/** What a change is refused with. */
export function ejectedFault({ to, at }: Ejected): Fault {
  return new Fault(
    "ca.ejected",
    `the CA is stock Puppet Server's on ${to} since ${at}: the cluster's own signs and revokes no more`,
    { hints: ["What was meant, on any server: puppetserver ca list|sign|revoke|clean|generate"] },
  );
}

/** Throws Fault `ca.ejected` where the CA has ended. */
export function refuseEjected(ejected: Ejected | undefined): void {
  if (ejected !== undefined) throw ejectedFault(ejected);
}

/**
 * What counts of the record's word and a server's own mark: the later decision, since a server that
 * is lost with the CA is replaced by another one, which may not reach the record. The record's
 * where both are of one time.
 */
export function latestEjected(
  recorded: Ejected | undefined,
  mark: Ejected | undefined,
): Ejected | undefined {
  if (recorded === undefined || mark === undefined) return recorded ?? mark;
  return Date.parse(mark.at) > Date.parse(recorded.at) ? mark : recorded;
}
