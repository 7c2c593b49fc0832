// What the cluster's view means for this server's edge. Pure: view in, HAProxy's configuration data
// out.

import { leafHostname } from "../cluster/pki.ts";
import { leafFiles } from "../cluster/pki-store.ts";
import type { Ejected } from "../cluster/schema.ts";
import { stockAuthority } from "../cluster/stock-authority.ts";
import { serversOf, type View } from "../cluster/view.ts";
import type { EdgeConfig } from "../edge/config.ts";
import { PATHS, PORTS } from "../host/paths.ts";

/** HAProxy may use this share of the server's memory; puppetserver wants most of the rest. */
const MEMORY_SHARE = 0.25;

/** What only this host knows. */
export interface EdgeHost {
  id: string;
  memoryMiB: number;
  /** Whether programs here may listen on IPv6. */
  ipv6: boolean;
  /** PEM of this server's Puppet certificate and key in one file. */
  certificateFile: string;
  puppetCaFile: string;
  issuers: string[];
  /** Where the CA went; undefined while it is the cluster's. */
  ejected?: Ejected | undefined;
  /** Members whose puppetservers get nothing new now. */
  out?: readonly string[];
}

/**
 * The edge that the view asks for. Puppetservers that call themselves unfit, and those of drained
 * members, are the last resort: who is alive the edge knows best, and a poor answer beats none.
 */
export function desiredEdge(view: View, host: EdgeHost): EdgeConfig {
  const edge = leafFiles("edge");
  const stock = host.ejected && stockAuthority(view, host.ejected);
  return {
    memberId: host.id,
    bind: ["0.0.0.0", ...(host.ipv6 ? ["::"] : [])].map((address) => ({
      address,
      port: PORTS.edge,
    })),
    acceptProxyFrom: view.settings.acceptProxyFrom,
    certificateFile: host.certificateFile,
    puppetCaFile: host.puppetCaFile,
    issuers: host.issuers,
    edgeClientPem: edge.bundle,
    edgeCaFile: edge.ca,
    backends: backendsOf(view, host.out ?? []),
    authorities: serversOf(view)
      .filter((member) => member.id !== host.id)
      .map((member) => ({
        name: member.id,
        host: leafHostname("authority", member.id),
        address: member.address,
        port: PORTS.authority,
      })),
    ...(stock && { stockAuthority: stock }),
    caSocket: PATHS.caSocket,
    filesSocket: PATHS.filesSocket,
    memoryMiB: Math.round(host.memoryMiB * MEMORY_SHARE),
    stateDir: PATHS.edge,
    runDir: PATHS.run,
    runAs: { user: "haproxy", group: "haproxy" },
  };
}

/** The name that an edge gives to a member's puppetserver: unique, and the same on every edge. */
export function backendName(member: string, backend: string): string {
  return backend === "puppetserver" ? member : `${member}_${backend}`;
}

function backendsOf(view: View, out: readonly string[]): EdgeConfig["backends"] {
  const members = view.members
    .filter((member) => member.phase !== "leaving")
    .toSorted((a, b) => a.id.localeCompare(b.id));
  return members.flatMap((member) =>
    member.backends.map((backend) => ({
      name: backendName(member.id, backend.name),
      host: leafHostname("listener", member.id),
      address: backend.address ?? member.address,
      port: backend.port,
      jrubies: backend.jrubies,
      lastResort: backend.unfit !== "" || out.includes(member.id),
    })),
  );
}
