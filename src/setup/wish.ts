// How puppetserver is to be set behind the edge: said once, for preflight, setup and removal.

import { leafFiles } from "../cluster/pki-store.ts";
import { PORTS } from "../host/paths.ts";
import type { PuppetserverDesired } from "../puppetserver/plan.ts";

/** The listener and trust of a puppetserver that only edges may talk to. */
export function puppetserverWish(sharedName: string): PuppetserverDesired {
  const files = leafFiles("listener");
  return {
    sharedName,
    listener: {
      address: "0.0.0.0",
      port: PORTS.puppetserver,
      cert: files.certificate,
      key: files.key,
      caCert: files.ca,
      crl: files.crl,
    },
  };
}
