// How puppetserver is to be set behind the edge: said once, for preflight, setup and removal.

import { readHandedOver } from "../ca/handed-over.ts";
import { leafFiles } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { readKeptView } from "../cluster/view.ts";
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

/** The same for this member as it is now: it also says where stock's CA is, if that has the CA. */
export async function readPuppetserverWish(node: NodeFile): Promise<PuppetserverDesired> {
  const mark = await readHandedOver(node.clusterId);
  const ejected = (await readKeptView())?.ejected;
  const stockCa = mark !== undefined ? "here" : ejected && "elsewhere";
  return { ...puppetserverWish(node.sharedName), stockCa };
}
