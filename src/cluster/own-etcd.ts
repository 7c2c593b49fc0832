// This member's own etcd: started when the cluster has listed it, with the configuration for that.
// Danger: data of a former membership must never meet a new one, so it is set aside; and nothing
// here may act on an old list, or a member that is only cut off would lose its data.

import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "../base/log.ts";
import { type EtcdServerConfig, peerUrl, renderEtcdConfig } from "../etcd/server.ts";
import { exists, makeFolder, readIfThere, writeFileAtomic, writeIfChanged } from "../host/files.ts";
import { PATHS, PORTS, UNITS } from "../host/paths.ts";
import { isActive, unit } from "../host/systemd.ts";
import type { Owner } from "../host/users.ts";
import type { EtcdMember } from "./view.ts";
import { leafFiles } from "./pki-store.ts";

/** The file that says as which etcd member this server's data was made. */
const MEMBER_ID_FILE = join(PATHS.etcd, "member-id");
const DATA = join(PATHS.etcd, "data");
const FORMER_DATA = join(PATHS.etcd, "data.former");
const CONFIG = join(PATHS.etcd, "etcd.env");

export type OwnEtcdAction =
  | { do: "set-data-aside"; because: string }
  | { do: "start"; members: EtcdMember[]; etcdId: string; because: string }
  | { do: "stop"; because: string };

export interface OwnEtcdObserved {
  /** The list of etcd members, read just now from a quorum. */
  members: EtcdMember[];
  /** As which member the data here was made. */
  dataOf: string | undefined;
  active: boolean;
}

/** What to do with this server's etcd, given that the list was read from a quorum just now. */
export function planOwnEtcd(address: string, observed: OwnEtcdObserved): OwnEtcdAction[] {
  const listed = observed.members.find((member) => member.peerUrls.includes(peerUrl(address)));
  if (listed === undefined) {
    if (!observed.active) return [];
    return [{ do: "stop", because: "etcd's members don't list this server any more" }];
  }
  if (observed.dataOf === listed.etcdId) {
    if (observed.active) return [];
    return [start(observed, listed, "it is a member and not running")];
  }
  // A member that init started isn't written down yet, and it is the only one.
  if (observed.dataOf === undefined && observed.active) return [];
  const actions: OwnEtcdAction[] = [];
  if (observed.active) actions.push({ do: "stop", because: "its data is of a former membership" });
  if (observed.dataOf !== undefined) {
    actions.push({ do: "set-data-aside", because: `it is of former member ${observed.dataOf}` });
  }
  return [...actions, start(observed, listed, "the cluster has added this server to etcd")];
}

export async function observeOwnEtcd(members: EtcdMember[]): Promise<OwnEtcdObserved> {
  const dataOf = (await readIfThere(MEMBER_ID_FILE))?.trim();
  return { members, dataOf, active: await isActive(UNITS.etcd) };
}

/** Carries out one action. Throws Fault `host.command-failed` when systemd can't. */
export async function applyOwnEtcd(
  action: OwnEtcdAction,
  self: { id: string; address: string; clusterId: string; owner: Owner | undefined },
  log: Log,
): Promise<void> {
  log.notice(`etcd here: ${action.do}, because ${action.because}`);
  switch (action.do) {
    case "stop":
      await unit("disable", UNITS.etcd);
      await unit("stop", UNITS.etcd);
      return;
    case "set-data-aside":
      await rm(FORMER_DATA, { recursive: true, force: true });
      if (await exists(DATA)) await rename(DATA, FORMER_DATA);
      await rm(MEMBER_ID_FILE, { force: true });
      return;
    case "start":
      await writeEtcdConfig(self, {
        state: "existing",
        peers: action.members.map((member) => ({
          name: member.etcdId === action.etcdId ? self.id : member.name,
          peerUrl: member.peerUrls[0] ?? "",
        })),
      });
      // A learner says it is ready only once it has caught up, so systemd isn't waited for.
      await writeFileAtomic(MEMBER_ID_FILE, `${action.etcdId}\n`);
      await unit("enable", UNITS.etcd);
      await unit("start", UNITS.etcd, { noBlock: true });
  }
}

/**
 * Writes the settings that understudy-etcd.service starts etcd with; `peers` are all etcd members
 * with this one.
 */
export async function writeEtcdConfig(
  self: { id: string; address: string; clusterId: string; owner: Owner | undefined },
  cluster: { state: EtcdServerConfig["state"]; peers: { name: string; peerUrl: string }[] },
): Promise<boolean> {
  const files = leafFiles("etcd");
  const owner = self.owner === undefined ? {} : { owner: self.owner };
  await makeFolder(PATHS.etcd, { mode: 0o700, ...owner });
  const text = renderEtcdConfig({
    name: self.id,
    dataDir: DATA,
    address: self.address,
    clientPort: PORTS.etcdClient,
    peerPort: PORTS.etcdPeer,
    clusterToken: self.clusterId,
    state: cluster.state,
    peers: cluster.peers,
    tls: { cert: files.certificate, key: files.key, ca: files.ca, crl: files.crl },
  });
  return writeIfChanged(CONFIG, text, { mode: 0o600, ...owner });
}

/**
 * Before init's first etcd: until its member is known nothing was written there, and a power cut in
 * its first moments leaves data that etcd can't start with. Such data goes.
 */
export async function clearUnknownData(): Promise<void> {
  if ((await exists(MEMBER_ID_FILE)) || !(await exists(DATA))) return;
  await unit("stop", UNITS.etcd);
  await rm(DATA, { recursive: true, force: true });
}

/** Remembers as which etcd member init's first etcd runs. */
export async function keepOwnMemberId(etcdId: string): Promise<void> {
  await writeFileAtomic(MEMBER_ID_FILE, `${etcdId}\n`);
}

function start(observed: OwnEtcdObserved, listed: EtcdMember, because: string): OwnEtcdAction {
  return { do: "start", members: observed.members, etcdId: listed.etcdId, because };
}
