// What the record says of members' puppetservers: as many JRubies as their status API tells, which
// edges take their queues' size from, and whether they have room on their disk. A server measures
// its own; the leader also measures compilers, which hold no certificate that a puppetserver's
// listener would let in. A compiler's disk is its own daemon's to tell.

import { leafHostname } from "../cluster/pki.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { updateMember } from "../cluster/record.ts";
import { Backend, type Member, type NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import type { Etcd } from "../etcd/types.ts";
import { PORTS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { judgeRoom, readFreeBytes } from "../puppetserver/disk.ts";
import { type PuppetserverStatus, readPuppetserverStatus } from "../puppetserver/status.ts";
import { RELOADING } from "./puppetserver-reload.ts";
import { VERSION } from "../version.ts";

const STATUS_MS = 3000;
const DEFAULT_BACKEND = Backend.parse({ name: "puppetserver", port: PORTS.puppetserver });

export interface RecordHost {
  etcd: Etcd;
  node: NodeFile;
  layout: PuppetLayout;
  /** Why this daemon keeps requests from its puppetserver now, whatever its disk; empty: no. */
  takenOut: { because: string };
}

/**
 * Brings this member's record up to date, and compilers' where `leads`. Throws what etcd throws.
 */
export async function keepRecords(host: RecordHost, view: View, leads: boolean): Promise<void> {
  const { etcd, node } = host;
  const measured = view.members.filter((member) => {
    if (node.role === "server" && member.id === node.id) return true;
    return leads && member.role === "compiler";
  });
  for (const member of measured) await keepBackends(etcd, member);
  await keepOwn(host);
}

/** What this member knows best of itself: its version, and whether it should get requests. */
export async function keepOwn({ etcd, node, layout, takenOut }: RecordHost): Promise<void> {
  const { varDir } = layout.puppetserver;
  // A folder that can't be looked at is no reason to take a puppetserver out.
  const freeBytes = await readFreeBytes(varDir).catch(() => Number.POSITIVE_INFINITY);
  await updateMember(etcd, node.id, (member) => {
    const withRoom = (backend: Backend) => {
      const was = backend.unfit === RELOADING ? "" : backend.unfit;
      return { ...backend, unfit: takenOut.because || judgeRoom(freeBytes, was, varDir) };
    };
    return member && { ...member, version: VERSION, backends: member.backends.map(withRoom) };
  });
}

async function keepBackends(etcd: Etcd, member: Member): Promise<void> {
  const listed = member.backends.length > 0 ? member.backends : [DEFAULT_BACKEND];
  const backends = await Promise.all(listed.map(async (backend) => measure(backend, member)));
  if (JSON.stringify(backends) === JSON.stringify(member.backends)) return;
  await updateMember(etcd, member.id, (current) => current && { ...current, backends });
}

/** Whether nothing runs in this server's own puppetservers; true where that can't be told. */
export async function isIdle(view: View, { id, role }: NodeFile): Promise<boolean> {
  const own = view.members.find((member) => member.id === id);
  if (own === undefined || role !== "server") return true;
  const statuses = await Promise.all(own.backends.map(async (each) => askStatus(each, own)));
  return statuses.every((status) => status?.freeJrubies === status?.jrubies);
}

/** The backend with its JRuby count as told now; as it was while puppetserver doesn't answer. */
async function measure(backend: Backend, member: Member): Promise<Backend> {
  const { jrubies } = (await askStatus(backend, member)) ?? {};
  return jrubies === undefined || jrubies < 1 ? backend : { ...backend, jrubies };
}

async function askStatus(
  { port }: Backend,
  { id, address }: Member,
): Promise<PuppetserverStatus | undefined> {
  const { ca, cert, key } = await readLeaf("edge");
  const serverName = leafHostname("listener", id);
  return readPuppetserverStatus(
    { address, port, serverName, ca, cert, key },
    AbortSignal.timeout(STATUS_MS),
  ).catch(() => undefined);
}
