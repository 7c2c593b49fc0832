// How puppetserver is to be set behind the edge: said once, for preflight, setup and the daemon.

import { leafFiles } from "../cluster/pki-store.ts";
import { PORTS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import type { PuppetserverWish } from "../puppetserver/plan.ts";

/** The listener, trust and services of a puppetserver that only edges may talk to. */
export function puppetserverWish(_layout: PuppetLayout, sharedName: string): PuppetserverWish {
  const files = leafFiles("listener");
  return {
    sharedName,
    listener: {
      address: "0.0.0.0",
      port: PORTS.puppetserver,
      certificate: files.certificate,
      key: files.key,
      ca: files.ca,
      crl: files.crl,
    },
  };
}
