// What this member says of itself in the record: its version and its puppetservers, with as many
// JRubies as their status API tells. Edges take their queues' size from it.

import { leafHostname } from "../cluster/pki.ts";
import type { Backend, NodeFile } from "../cluster/schema.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { updateMember } from "../cluster/record.ts";
import type { View } from "../cluster/view.ts";
import type { Etcd } from "../etcd/types.ts";
import { PORTS } from "../host/paths.ts";
import { readPuppetserverStatus } from "../puppetserver/status.ts";
import { VERSION } from "../version.ts";

const STATUS_MS = 3000;
const DEFAULT_BACKEND: Backend = { name: "puppetserver", port: PORTS.puppetserver, jrubies: 1 };

/** Brings the own record up to date. Throws what etcd throws. */
export async function keepOwnRecord(etcd: Etcd, view: View, node: NodeFile): Promise<void> {
  const own = view.members.find((member) => member.id === node.id);
  if (own === undefined || own.role === "witness") return;
  const listed = own.backends.length > 0 ? own.backends : [DEFAULT_BACKEND];
  const backends = await Promise.all(listed.map(async (backend) => measure(backend, node)));
  const wanted = { ...own, backends, version: VERSION };
  if (JSON.stringify(wanted) === JSON.stringify(own)) return;
  await updateMember(
    etcd,
    node.id,
    (member) => member && { ...member, backends, version: VERSION },
  );
}

/** The backend with its JRuby count as told now; as it was while puppetserver doesn't answer. */
async function measure(backend: Backend, node: NodeFile): Promise<Backend> {
  // Only servers hold an edge client certificate; a compiler's count is read by them.
  if (node.role !== "server") return backend;
  const { ca, cert, key } = await readLeaf("edge");
  const status = await readPuppetserverStatus(
    {
      address: node.address,
      port: backend.port,
      serverName: leafHostname("listener", node.id),
      ca,
      cert,
      key,
    },
    AbortSignal.timeout(STATUS_MS),
  ).catch(() => undefined);
  const { jrubies } = status ?? {};
  return jrubies === undefined || jrubies < 1 ? backend : { ...backend, jrubies };
}
