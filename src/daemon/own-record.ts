// What the record says of members' puppetservers: as many JRubies as their status API tells, which
// edges take their queues' size from, and whether they have room on their disk. A server measures
// its own; the leader also measures compilers, which hold no certificate that a puppetserver's
// listener would let in. A compiler's disk is its own daemon's to tell.

import { withFirst, withJrubies } from "../cluster/backends.ts";
import { leafHostname } from "../cluster/pki.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import { updateMember } from "../cluster/record.ts";
import type { Backend, Member, NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import type { Etcd } from "../etcd/types.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { judgeRoom, readRoom, type Room } from "../puppetserver/disk.ts";
import { type PuppetserverStatus, readPuppetserverStatus } from "../puppetserver/status.ts";
import { RELOADING } from "./puppetserver-reload.ts";
import { VERSION } from "../version.ts";

const STATUS_MS = 3000;
const ENDLESS: Room = { bytes: Number.POSITIVE_INFINITY, files: Number.POSITIVE_INFINITY };

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
  const room = await readRoom(varDir).catch(() => ENDLESS);
  await updateMember(etcd, node.id, (member) => {
    const withRoom = (backend: Backend) => {
      const was = backend.unfit === RELOADING ? "" : backend.unfit;
      return { ...backend, unfit: takenOut.because || judgeRoom(room, was, varDir) };
    };
    return member && { ...member, version: VERSION, backends: member.backends.map(withRoom) };
  });
}

/** Only the counts are written: the list is an administrator's, and may have changed meanwhile. */
async function keepBackends(etcd: Etcd, member: Member): Promise<void> {
  const listed = withFirst(member);
  const jrubies = new Map<string, number>();
  await Promise.all(
    listed.backends.map(async (backend) => {
      const status = await askStatus(backend, member);
      const count = status?.jrubies ?? 0;
      if (count > 0) jrubies.set(backend.name, count);
    }),
  );
  const measured = withJrubies(listed, jrubies).backends;
  if (JSON.stringify(measured) === JSON.stringify(member.backends)) return;
  await updateMember(etcd, member.id, (now) => now && withJrubies(withFirst(now), jrubies));
}

/**
 * How many requests run in a member's puppetservers, as they tell a server; undefined where none
 * does.
 */
export async function runningRequests(
  member: Member,
  asker: Pick<NodeFile, "role">,
): Promise<number | undefined> {
  if (asker.role !== "server") return undefined;
  const asked = member.backends.map(async (each) => askStatus(each, member));
  const counts = (await Promise.all(asked)).flatMap((status) => {
    const { jrubies, freeJrubies } = status ?? {};
    return jrubies === undefined || freeJrubies === undefined ? [] : [jrubies - freeJrubies];
  });
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

/**
 * Whether nothing runs in this server's own puppetservers. A compiler can't tell; a server's that
 * doesn't tell, as it is busy perhaps, isn't idle.
 */
export async function isIdle(view: View, node: NodeFile): Promise<boolean> {
  const own = view.members.find((member) => member.id === node.id);
  if (own === undefined || own.backends.length === 0 || node.role !== "server") return true;
  return (await runningRequests(own, node)) === 0;
}

/** Undefined while it doesn't answer. */
export async function askStatus(
  { port, address }: Backend,
  member: Member,
): Promise<PuppetserverStatus | undefined> {
  const { ca, cert, key } = await readLeaf("edge");
  const serverName = leafHostname("listener", member.id);
  return readPuppetserverStatus(
    { address: address ?? member.address, port, serverName, ca, cert, key },
    AbortSignal.timeout(STATUS_MS),
  ).catch(() => undefined);
}
