// What this member says of itself. Every part is read when asked or remembered by its loop; a part
// that can't be read says why, and never keeps the rest from being said.

import { messageOf } from "../base/fault.ts";
import type { ClockStatus } from "../cluster/clock.ts";
import type { Expiry } from "../cluster/expiry.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import type { SwitchoverStatus } from "../cluster/switchover-status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { View } from "../cluster/view.ts";
import { textsOf, type Warning } from "../cluster/warning.ts";
import { drainOf, pausesNow } from "../cluster/work.ts";
import { clientUrl } from "../etcd/server.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import { readWindows, toWindow } from "../vip/switchover/look.ts";
import { VERSION } from "../version.ts";
import { heldHere } from "./vip-drain.ts";

const ETCD_MS = 1500;

export interface LocalParts {
  node: () => NodeFile;
  keeper: ViewKeeper;
  etcd: Etcd;
  voters: { planning(): string };
  edge: () => LocalStatus["edge"] | undefined;
  ca: () => LocalStatus["ca"] | undefined;
  copy: () => LocalStatus["copy"] | undefined;
  disks: () => NonNullable<LocalStatus["disks"]>;
  courier: () => Promise<LocalStatus["courier"]>;
  clock: () => ClockStatus;
  history: { waiting(): number };
  api: () => LocalStatus["api"];
  probe: () => LocalStatus["probe"];
  alerts: () => LocalStatus["alerts"];
  expiries: () => Expiry[];
  problems: () => Warning[];
}

export async function readLocalStatus(parts: LocalParts): Promise<LocalStatus> {
  const node = parts.node();
  const view = parts.keeper.current();
  const record = parts.keeper.record();
  const edge = parts.edge();
  const ca = parts.ca();
  const copy = parts.copy();
  const courier = parts.courier();
  const switchovers = await readSwitchovers();
  const api = parts.api();
  const probe = parts.probe();
  const problems = parts.problems();
  const alerts = parts.alerts();
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
      ...(await readOwnEtcd(
        parts.etcd,
        clientUrl(node.address),
        view?.etcdMembers.some((each) => each.name === node.id) === true,
      )),
      planning: parts.voters.planning(),
    },
    addresses: heldHere(view?.settings.virtualIps ?? []),
    ...(view === undefined ? {} : workHere(view, node.id)),
    ...(switchovers.length === 0 ? {} : { switchovers }),
    ...(edge === undefined ? {} : { edge }),
    ...(ca === undefined ? {} : { ca }),
    ...(copy === undefined ? {} : { copy }),
    disks: parts.disks(),
    ...withCourier(await courier),
    clock: parts.clock(),
    history: { waiting: parts.history.waiting() },
    ...(probe === undefined ? {} : { probe }),
    ...(api === undefined ? {} : { api }),
    ...(alerts === undefined ? {} : { alerts }),
    expiries: parts.expiries(),
    warnings: textsOf(problems),
    problems,
  };
}

async function readSwitchovers(): Promise<SwitchoverStatus[]> {
  const windows = (await readWindows()).filter(({ phase }) => phase !== "ended");
  return windows.map(toWindow).map(({ side, addresses, connections, leftS }) => ({
    side,
    addresses,
    connections,
    leftS,
  }));
}

function workHere({ work }: View, id: string): Pick<LocalStatus, "drained" | "paused"> {
  const nowMs = wallMs();
  const here = pausesNow(work, nowMs).filter((pause) => pause.id === undefined || pause.id === id);
  return {
    drained: drainOf(work, id, nowMs) !== undefined,
    paused: here.map(({ scope }) => scope),
  };
}

function withCourier(courier: LocalStatus["courier"]): Pick<LocalStatus, "courier"> {
  return courier === undefined ? {} : { courier };
}

/**
 * What this member's own etcd says of itself; `listed`: it is among etcd's members. Never throws.
 */
export async function readOwnEtcd(
  etcd: Pick<Etcd, "status">,
  url: string,
  listed: boolean,
): Promise<LocalStatus["etcd"]> {
  const none = { runs: "no" as const, hasLeader: false, alarms: [], dbSizeBytes: 0, because: "" };
  if (!listed) return none;
  try {
    const status = await etcd.status(url, { withinMs: ETCD_MS });
    const hasLeader = status.leaderId !== "0";
    const follows = status.learner ? "learner" : "voter";
    const runs = status.leaderId === status.memberId ? "leader" : follows;
    // As in "memberID:123 alarm:NOSPACE "; every member tells those of all.
    const alarms = status.errors.flatMap((text) => /\balarm:(\w+)/.exec(text)?.[1] ?? []);
    const others = status.errors.filter((text) => !/\balarm:/.test(text));
    if (!hasLeader && others.length === 0) others.push("it knows no leader");
    const because = others.join("; ");
    return { runs, hasLeader, alarms, dbSizeBytes: status.dbSizeInUseBytes, because };
  } catch (error) {
    return { ...none, because: messageOf(error) };
  }
}
