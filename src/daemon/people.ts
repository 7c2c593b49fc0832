// The API for people in this daemon: who may use it, what answers, and the loop that brings it to
// what the record says. It needs no etcd: tokens and settings are those that were read last.

import type { Audit } from "../api/audit.ts";
import { type Dashboard, readDashboard } from "../api/dashboard.ts";
import { createHealthApp } from "../api/health-app.ts";
import type { LocalDeps } from "../api/local-app.ts";
import { createPeopleApp } from "../api/people-app.ts";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { AccessList } from "../cluster/access.ts";
import type { ApiStatus } from "../cluster/api-status.ts";
import { type Health, type HealthCheck, judgeHealth } from "../cluster/health.ts";
import type { ApiSettings } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import { drainOf, NO_WORK } from "../cluster/work.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { inNetworks } from "../host/network.ts";
import type { Core } from "./core.ts";
import { createPeopleListener } from "./people-listener.ts";

const TICK_MS = 3000;
const HOUR_MS = 3_600_000;

export interface People {
  loop: Loop;
  status(): ApiStatus;
  close(): Promise<void>;
}

/** What the health endpoints are answered from, as the parts remember it. */
export interface PeopleParts {
  edge: () => LocalStatus["edge"];
  ca: () => LocalStatus["ca"];
  courier: () => Promise<LocalStatus["courier"]>;
  /** Why this daemon is to be started anew; empty: there is no reason. */
  hung: () => string;
  leads: () => boolean;
}

interface PeopleHost {
  core: Pick<Core, "node" | "keeper" | "layout" | "access" | "log" | "signal">;
  parts: PeopleParts;
  commands: LocalDeps;
  audit: Audit;
}

export function startPeople(host: PeopleHost): People {
  const { core, commands, audit } = host;
  const { keeper, access, layout, log, signal } = core;
  const signIns = createSignIns();
  const health = createHealth(host);
  let settings: ApiSettings | undefined;
  let because = "";

  const api = createPeopleApp({
    log,
    audit,
    commands,
    dashboard: readDashboardIfThere(log),
    health: (check) => health.judge(check),
    tokens: () => access.current(),
    used: (name) => signIns.used(name),
    refused: () => signIns.refused(),
    readsMetrics: (address) => inNetworks(address, settings?.metricsFrom ?? []),
    wallMs,
    monotonicMs,
  });
  const own = { cert: layout.hostcert, key: layout.hostprivkey };
  const plain = createHealthApp((check) => health.judge(check));
  const listener = createPeopleListener({ api, health: plain, own, log });
  const loop = startLoop({
    name: "API for people",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      await health.look();
      const wanted = keeper.current()?.settings.api;
      try {
        await listener.tick(wanted);
        because = "";
      } catch (error) {
        because = messageOf(error);
        throw error;
      } finally {
        settings = wanted;
      }
    },
  });
  keeper.onChange(() => loop.wake());
  return {
    loop,
    status: () => ({
      ...(settings && { settings }),
      url: listener.isOpen() && settings ? urlOf(core.node.id, settings) : "",
      because,
      accessRevision: access.revision(),
      ...signIns.told(access.current()),
    }),
    close: async () => listener.close(),
  };
}

/** A page that can't be read is no reason not to answer programs. */
function readDashboardIfThere(log: Log): Dashboard | undefined {
  try {
    return readDashboard();
  } catch (error) {
    log.warn(`the dashboard can't be read: ${messageOf(error)}`);
    return undefined;
  }
}

/** Who signed in since the daemon's start. */
function createSignIns() {
  const uses = new Map<string, string>();
  let refused = 0;
  return {
    used: (name: string) => uses.set(name, isoTime(Math.floor(wallMs() / HOUR_MS) * HOUR_MS)),
    refused: () => {
      refused += 1;
    },
    /** Of tokens that there are no more nobody wants to know. */
    told({ tokens }: AccessList) {
      const known = tokens.flatMap(({ name }) => {
        const at = uses.get(name);
        return at === undefined ? [] : [{ name, at }];
      });
      return { refused, uses: known };
    },
  };
}

/** Nothing is asked when a health endpoint is: what takes time is looked at on each tick. */
function createHealth({ core, parts }: PeopleHost) {
  const { node, keeper } = core;
  const startedMs = monotonicMs();
  let courier: LocalStatus["courier"];
  return {
    async look() {
      courier = await parts.courier();
    },
    judge(check: HealthCheck): Health {
      const view = keeper.current();
      const own = view?.members.find(({ id }) => id === node.id);
      const ca = parts.ca();
      return judgeHealth(check, {
        hung: parts.hung(),
        loopAgeMs: monotonicMs() - (keeper.loop.last()?.endedMs ?? startedMs),
        role: node.role,
        phase: core.node.phase,
        leaving: own?.phase === "leaving",
        drained: drainOf(view?.work ?? NO_WORK, node.id, wallMs()) !== undefined,
        unfit: own?.backends.find(({ unfit }) => unfit !== "")?.unfit ?? "",
        edge: parts.edge(),
        ca: ca && { serving: ca.serving, ejected: ca.ejected !== undefined },
        courier,
        leads: parts.leads(),
      });
    },
  };
}

/** By name, since that is what the Puppet certificate is for. */
function urlOf(id: string, { address, port }: ApiSettings): string {
  const host = address?.includes(":") ? `[${address}]` : (address ?? id);
  return `https://${host}:${port}`;
}
