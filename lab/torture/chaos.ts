// Faults, one after the other, chosen by a seed: what is killed, hung, cut off, filled up or loses
// power, on which server and for how long. Each is undone before the next begins, but nothing waits
// for the cluster to be whole again: the next one may well hit while it still heals, or boots.

import type { CutDirection } from "../network.ts";
import type { Cluster } from "../cluster.ts";
import { lasting } from "../cluster/scenario.ts";
import type { LabHost } from "../host.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import type { Random } from "./random.ts";
import { createTurns } from "./turns.ts";

const DAEMON = "understudy.service";
const ETCD = "understudy-etcd.service";
/** Longer than any lease, and than a clock's reading is valid. */
const HUNG_MS = 35_000;
const CUT_MS_MAX = 20_000;
const CALM_MS_MAX = 4000;
/** How much longer it may last until every kind was done. */
const MISSING_MS_MAX = 300_000;

/** A fault that was: agents that were connected to this server meanwhile may have failed. */
export interface Fault {
  kind: string;
  server: string;
  fromMs: number;
  toMs: number;
}

interface Kind {
  kind: string;
  /** False: there was nothing to hit, as where a unit is just being started anew. */
  begin: (server: LabHost) => Promise<unknown>;
  /** Milliseconds until it is undone. */
  lastsMs: number;
  undo: (server: LabHost) => Promise<unknown>;
  /** Whether it hits etcd's leader, and nobody else. */
  ofLeader?: boolean;
  /** Whether undoing takes minutes, which other servers don't wait for. */
  slowly?: boolean;
}

const nothing = async () => undefined;
/** Signals all processes of a unit. Returns whether there were any. */
const signal = async (server: LabHost, unit: string, name: string): Promise<boolean> =>
  (await server.exec(["systemctl", "kill", `--signal=${name}`, unit])).ok;
const cutOff = (direction: CutDirection, kind: string): Kind => ({
  kind,
  begin: async (server) => server.cutLink({ direction }),
  lastsMs: CUT_MS_MAX,
  undo: async (server) => server.heal(),
});
const killed = (unit: string): Kind => ({
  kind: `SIGKILL ${unit}`,
  begin: async (server) => signal(server, unit, "SIGKILL"),
  lastsMs: 0,
  undo: nothing,
});
const hung = (unit: string): Kind => ({
  kind: `SIGSTOP ${unit}`,
  begin: async (server) => signal(server, unit, "SIGSTOP"),
  lastsMs: HUNG_MS,
  // The watchdog may have ended it meanwhile.
  undo: async (server) => signal(server, unit, "SIGCONT"),
});

const KINDS: readonly Kind[] = [
  killed(DAEMON),
  killed(ETCD),
  { ...killed(ETCD), kind: `SIGKILL ${ETCD} of the leader`, ofLeader: true },
  hung(DAEMON),
  hung(ETCD),
  cutOff("silent", "cut off both ways"),
  cutOff("in", "hears nothing"),
  cutOff("out", "is not heard"),
  {
    kind: "full disk",
    begin: async (server) => server.fillDisk(),
    lastsMs: CUT_MS_MAX,
    undo: async (server) => server.freeDisk(),
  },
  {
    kind: "power cut",
    begin: async (server) => server.powerCut(),
    lastsMs: 5000,
    undo: async (server) => ((await server.isUp()) ? undefined : server.boot()),
    slowly: true,
  },
];

/** How it is told, and undone should the scenario end in the middle. */
export interface ChaosHooks {
  say: (text: string) => void;
  undo: (step: () => Promise<unknown>) => void;
}

/** What every run does at least once. */
export const FAULT_KINDS = KINDS.map(({ kind }) => kind);

/**
 * Does faults to the cluster's servers for `forMs`, and longer until every kind was done; each once
 * before any comes again.
 */
export async function playFaults(
  cluster: Cluster,
  random: Random,
  forMs: number,
  { say, undo }: ChaosHooks,
): Promise<Fault[]> {
  const beganMs = monotonicMs();
  const faults: Fault[] = [];
  const booting = new Map<LabHost, Promise<unknown>>();
  const turns = createTurns(KINDS, random);
  const goesOn = () => {
    const tookMs = monotonicMs() - beganMs;
    const open = turns.missing().length > 0;
    return tookMs < forMs + (open ? MISSING_MS_MAX : 0);
  };
  while (goesOn()) {
    const fault = turns.next();
    if (booting.size === cluster.servers.length) await Promise.race(booting.values());
    const up = cluster.servers.filter((each) => !booting.has(each));
    const server = await victim(cluster, up, random, fault);
    const fromMs = wallMs();
    if (server !== undefined) undo(async () => fault.undo(server));
    if (server === undefined || (await fault.begin(server)) === false) {
      say(`${fault.kind}${server === undefined ? "" : ` on ${server.name}`}: nothing to hit`);
      await lasting(CALM_MS_MAX * random.next());
      continue;
    }
    turns.done(fault);
    await lasting(fault.lastsMs * (0.5 + random.next() / 2));
    const undone = fault.undo(server);
    if (fault.slowly === true) {
      const forget = () => booting.delete(server);
      booting.set(server, undone.then(forget));
      // Whoever waits for it in the end hears of it.
      undone.catch(() => undefined);
    } else await undone;
    const toMs = wallMs();
    faults.push({ kind: fault.kind, server: server.fqdn, fromMs, toMs });
    say(`${fault.kind} on ${server.name} for ${((toMs - fromMs) / 1000).toFixed(1)} s`);
    await lasting(CALM_MS_MAX * random.next());
  }
  await Promise.all(booting.values());
  return faults;
}

/** For etcd half of the time its leader. Undefined: it is the leader's, and that isn't known. */
async function victim(
  cluster: Cluster,
  servers: readonly LabHost[],
  random: Random,
  { kind, ofLeader = false }: Kind,
): Promise<LabHost | undefined> {
  const chosen = random.pick(servers);
  if (!ofLeader && (!kind.endsWith(ETCD) || random.next() < 0.5)) return chosen;
  // Perhaps no daemon answers just now.
  const status = await cluster.status().catch(() => undefined);
  const leader = status?.members.find(({ local }) => local?.etcd.runs === "leader");
  const found = servers.find(({ fqdn }) => fqdn === leader?.member.id);
  return ofLeader ? found : (found ?? chosen);
}
