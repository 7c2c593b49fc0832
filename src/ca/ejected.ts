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
