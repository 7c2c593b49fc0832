// One immutable picture of the cluster per reading. It is kept on disk, so that a member that
// starts without etcd still knows its cluster (P5). Any error from etcd means "unknown": the old
// view stays.

import { rm } from "node:fs/promises";
import { z } from "zod";
import type { Etcd } from "../etcd/types.ts";
import { readIfThere, writeIfChanged } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { readClusterRecord } from "./record.ts";
import { Ejected, type Member, Member as MemberSchema, Meta, Settings } from "./schema.ts";
import { NO_WORK, Work } from "./work.ts";

/** An etcd member as etcd lists it. `name` is the member's id; empty until it has started once. */
export const EtcdMember = z.object({
  etcdId: z.string(),
  name: z.string(),
  peerUrls: z.array(z.string()),
  clientUrls: z.array(z.string()),
  learner: z.boolean(),
});
export type EtcdMember = z.infer<typeof EtcdMember>;

export const View = z.object({
  revision: z.int(),
  meta: Meta,
  /**
   * `meta` as it stands in the record. Every change of the CA compares it: after a recovery by hand
   * it is another one, and old members stop. Empty in a view that an older version kept.
   */
  metaText: z.string().default(""),
  settings: Settings,
  members: z.array(MemberSchema),
  etcdMembers: z.array(EtcdMember),
  /** Where the CA went; absent: it is the cluster's. */
  ejected: Ejected.optional(),
  /** Planned work, ended or not: each reader judges by its own clock. */
  work: Work.default(NO_WORK),
});
/** What this member knows of the cluster, from one reading of the record. */
export type View = z.infer<typeof View>;

/** Reads a fresh view. Throws what etcd throws; undefined where no cluster was written. */
export async function readView(etcd: Etcd, signal: AbortSignal): Promise<View | undefined> {
  const record = await readClusterRecord(etcd, signal);
  if (record === undefined) return undefined;
  const etcdMembers = await etcd.members.list();
  return {
    revision: record.revision,
    meta: record.meta.value,
    metaText: record.meta.text,
    settings: record.settings.value,
    members: record.members.map((member) => member.value),
    etcdMembers: etcdMembers.map(({ id, ...member }) => ({ etcdId: id, ...member })),
    ...(record.ejected && { ejected: record.ejected.value }),
    work: record.work,
  };
}

/** The view that was kept on disk, if there is one that can be read. */
export async function readKeptView(): Promise<View | undefined> {
  const text = await readIfThere(PATHS.viewFile);
  if (text === undefined) return undefined;
  try {
    return View.parse(JSON.parse(text));
  } catch {
    // A view is a cache: one that can't be read is as good as none, and is written anew.
    return undefined;
  }
}

/** Keeps what a start without etcd needs to know. */
export async function keepView(view: View): Promise<void> {
  const { isolatedEdgeWaits } = PATHS;
  if (view.settings.isolatedEdge === "serve") await rm(isolatedEdgeWaits, { force: true });
  else await writeIfChanged(isolatedEdgeWaits, "isolated-edge: refuse\n", { mode: 0o644 });
  await writeIfChanged(PATHS.viewFile, `${JSON.stringify(view)}\n`, { mode: 0o600 });
}

/** Servers that take agents: they have an edge and the CA. */
export function serversOf(view: View): Member[] {
  return view.members.filter((member) => member.role === "server" && member.phase !== "leaving");
}

/** Servers whose edge may let agents in: one that is leaving does until it has left. */
export function edgesOf(view: View): Member[] {
  return view.members.filter((member) => member.role === "server");
}

/** Client URLs of all etcd members that vote, `first`'s own before the others. */
export function voterEndpoints(view: View, first: string): string[] {
  const voters = view.etcdMembers.filter((member) => !member.learner && member.name !== "");
  const sorted = [
    ...voters.filter((voter) => voter.name === first),
    ...voters.filter((voter) => voter.name !== first),
  ];
  return sorted.flatMap((voter) => voter.clientUrls.slice(0, 1));
}

/** How many etcd members may fail before changes stop; 0 with fewer than three voters (P9). */
export function toleratedFailures(voters: number): number {
  return voters < 3 ? 0 : Math.floor((voters - 1) / 2);
}
