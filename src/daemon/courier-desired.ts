// What the cluster's view means for this server's courier. Pure: view in, what the courier is told
// out. Every server makes the same order of PuppetDBs of the same view.

import { leafHostname } from "../cluster/pki.ts";
import type { Member } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { drainOf } from "../cluster/work.ts";
import { renderCourierConfig } from "../courier/config.ts";
import { LOCAL_PUPPETDB } from "../courier/jetty-ini.ts";
import { PATHS, PORTS } from "../host/paths.ts";

const file = (name: string) => `${PATHS.courierPki}/${name}`;

/** Copies of certificates that the courier may read. `.pem`: certificate and key in one. */
export const COURIER_FILES = {
  puppet: file("puppet.pem"),
  puppetCa: file("puppet-ca.crt"),
  puppetCrl: file("puppet-ca.crl"),
  door: file("door.pem"),
  client: file("client.pem"),
  edgeCa: file("edge-ca.crt"),
  edgeCrl: file("edge-ca.crl"),
} as const;

/** The text of the courier's configuration; undefined where none is to run. */
export function desiredCourier(view: View, id: string, nowMs: number): string | undefined {
  const members = view.members.toSorted((a, b) => a.id.localeCompare(b.id));
  const own = members.find((member) => member.id === id);
  if (own?.courier !== true) return undefined;
  const files = COURIER_FILES;
  return renderCourierConfig({
    format: 1,
    id,
    listen: { address: "0.0.0.0", port: PORTS.courier },
    peerListen: { address: "0.0.0.0", port: PORTS.courierPeer },
    tls: { cert: files.puppet, key: files.puppet, ca: files.puppetCa, crl: files.puppetCrl },
    peerTls: {
      cert: files.door,
      key: files.door,
      clientCert: files.client,
      clientKey: files.client,
      ca: files.edgeCa,
      crl: files.edgeCrl,
    },
    allow: allowed(view),
    couriers: members
      .filter((member) => member.courier === true && member.id !== id)
      .map((member) => ({
        id: member.id,
        address: member.address,
        port: PORTS.courierPeer,
        hostname: leafHostname("authority", member.id),
      })),
    puppetdbs: puppetdbsOf(members).map((member) => member.id),
    avoid: puppetdbsOf(members)
      .map((member) => member.id)
      .filter((each) => drainOf(view.work, each, nowMs) !== undefined),
    shared: members.some(({ puppetdbShared }) => puppetdbShared === true),
    filling: members.filter(({ puppetdb }) => puppetdb === "fills").map((member) => member.id),
    accepted: Object.fromEntries(
      members.flatMap(({ id: of, puppetdbAccepted: at }) => (at === undefined ? [] : [[of, at]])),
    ),
    ...(view.settings.puppetdbUse === undefined ? {} : { use: view.settings.puppetdbUse }),
    nodeTtlS: view.settings.puppetdbNodeTtlS ?? 0,
    ...(own.puppetdb === undefined ? {} : { localPuppetdb: LOCAL_PUPPETDB }),
    receivers: view.settings.reportReceivers ?? [],
    stateDir: PATHS.courier,
    statusSocket: PATHS.courierSocket,
  });
}

/** Whoever joined first comes first: that one has seen the most. */
function puppetdbsOf(members: readonly Member[]): Member[] {
  return members
    .filter((member) => member.courier === true && member.puppetdb !== undefined)
    .toSorted((a, b) => a.joinedAt.localeCompare(b.joinedAt) || a.id.localeCompare(b.id));
}

function allowed({ members, settings }: View): string[] {
  const own = members.filter(({ role }) => role !== "witness").map(({ id }) => id);
  return [...new Set([...own, ...(settings.puppetdbClients ?? [])])].toSorted();
}
