// What this member says of itself. Every part is read when asked or remembered by its loop; a part
// that can't be read says why, and never keeps the rest from being said.

import { messageOf } from "../base/fault.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { clientUrl } from "../etcd/server.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import { localAddresses } from "../host/network.ts";
import { VERSION } from "../version.ts";

const ETCD_MS = 1500;

export interface LocalParts {
  node: () => NodeFile;
  keeper: ViewKeeper;
  etcd: Etcd;
  voters: { planning(): string };
  edge: () => LocalStatus["edge"] | undefined;
  ca: () => LocalStatus["ca"] | undefined;
  warnings: () => string[];
}

export async function readLocalStatus(parts: LocalParts): Promise<LocalStatus> {
  const node = parts.node();
  const view = parts.keeper.current();
  const record = parts.keeper.record();
  const mine = new Set(localAddresses().map((each) => each.address));
  const addresses = (view?.settings.virtualIps ?? []).map((vip) => vip.split("/")[0] ?? vip);
  const edge = parts.edge();
  const ca = parts.ca();
  return {
    id: node.id,
    role: node.role,
    version: VERSION,
    phase: node.phase,
    wallMs: wallMs(),
    record: {
      reachable: record.reachable,
      because: record.because,
      ageMs: Number.isFinite(record.ageMs) ? record.ageMs : 0,
    },
    etcd: {
      ...(await readEtcd(
        parts.etcd,
        node,
        view?.etcdMembers.some((each) => each.name === node.id),
      )),
      planning: parts.voters.planning(),
    },
    addresses: addresses.filter((address) => mine.has(address)),
    ...(edge === undefined ? {} : { edge }),
    ...(ca === undefined ? {} : { ca }),
    warnings: parts.warnings(),
  };
}

async function readEtcd(
  etcd: Etcd,
  node: NodeFile,
  listed: boolean | undefined,
): Promise<LocalStatus["etcd"]> {
  if (listed !== true) return { runs: "no", dbSizeBytes: 0, because: "" };
  try {
    const status = await etcd.status(clientUrl(node.address), { withinMs: ETCD_MS });
    const follows = status.learner ? "learner" : "voter";
    const runs = status.leaderId === status.memberId ? "leader" : follows;
    const because = status.errors.join("; ");
    return { runs, dbSizeBytes: status.dbSizeInUseBytes, because };
  } catch (error) {
    return { runs: "no", dbSizeBytes: 0, because: messageOf(error) };
  }
}
