// The API for people in this daemon: who may use it, what answers, and the loop that brings it to
// what the record says. It needs no etcd: tokens and settings are those that were read last.

import type { Audit } from "../api/audit.ts";
import { createHealthApp } from "../api/health-app.ts";
import type { LocalDeps } from "../api/local-app.ts";
import { createPeopleApp } from "../api/people-app.ts";
import { messageOf } from "../base/fault.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import { type AccessKeeper, startAccessKeeper } from "../cluster/access-store.ts";
import { type Health, type HealthCheck, judgeHealth } from "../cluster/health.ts";
import type { ApiSettings } from "../cluster/schema.ts";
import type { LocalStatus } from "../cluster/status.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { canonicalAddress, parseCidr, inSubnet, sameAddress } from "../host/network.ts";
import { PATHS } from "../host/paths.ts";
import { caStatus } from "./ca.ts";
import type { Core, ServerParts } from "./core.ts";
import { createPeopleListener } from "./people-listener.ts";

const TICK_MS = 3000;
const HOUR_MS = 3_600_000;

export interface People {
  access: AccessKeeper;
  loop: Loop;
  status(): NonNullable<LocalStatus["api"]>;
  close(): Promise<void>;
}

interface PeopleHost {
  core: Core;
  server: ServerParts | undefined;
  commands: LocalDeps;
  audit: Audit;
  /** Why this daemon is to be started anew; empty: there is no reason. */
  hung: () => string;
  leads: () => boolean;
}

export async function startPeople(host: PeopleHost): Promise<People> {
  const { core, commands, audit } = host;
  const { keeper, layout, log, signal } = core;
  const reachable = () => keeper.record().reachable;
  const file = PATHS.accessFile;
  const access = await startAccessKeeper({ etcd: core.etcd, file, reachable, log, signal });
  const uses = new Map<string, string>();
  const health = createHealth(host);
  let settings: ApiSettings | undefined;
  let because = "";

  const api = createPeopleApp({
    log,
    audit,
    commands,
    health: (check) => health.judge(check),
    tokens: () => access.current(),
    used: (name) => uses.set(name, isoTime(Math.floor(wallMs() / HOUR_MS) * HOUR_MS)),
    readsMetrics: (address) => isAmong(address, settings?.metricsFrom ?? []),
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
      settings = keeper.current()?.settings.api;
      try {
        await listener.tick(settings);
        because = "";
      } catch (error) {
        because = messageOf(error);
        throw error;
      }
    },
  });
  keeper.onChange(() => loop.wake());
  return {
    access,
    loop,
    status() {
      // Of tokens that there are no more nobody wants to know.
      const known = access.current().tokens.flatMap(({ name }) => {
        const at = uses.get(name);
        return at === undefined ? [] : [{ name, at }];
      });
      return {
        ...(settings && { settings }),
        url: listener.isOpen() && settings ? urlOf(core.node.id, settings) : "",
        because,
        accessRevision: access.revision(),
        uses: known,
      };
    },
    close: async () => listener.close(),
  };
}

/** What the health endpoints are answered from: nothing is asked when they are. */
function createHealth({ core, server, hung, leads }: PeopleHost) {
  const startedMs = monotonicMs();
  let courier: LocalStatus["courier"];
  return {
    async look() {
      courier = await server?.courier.status();
    },
    judge(check: HealthCheck): Health {
      const { node, keeper } = core;
      const own = keeper.current()?.members.find(({ id }) => id === node.id);
      const ca = server && caStatus(server.ca);
      return judgeHealth(check, {
        hung: hung(),
        loopAgeMs: monotonicMs() - (keeper.loop.last()?.endedMs ?? startedMs),
        role: node.role,
        phase: node.phase,
        leaving: own?.phase === "leaving",
        unfit: own?.backends.find(({ unfit }) => unfit !== "")?.unfit ?? "",
        edge: server?.edge.status(),
        ca: ca && { serving: ca.serving, ejected: ca.ejected !== undefined },
        courier,
        leads: leads(),
      });
    },
  };
}

function isAmong(address: string, networks: readonly string[]): boolean {
  const plain = canonicalAddress(address);
  return networks.some((network) =>
    network.includes("/") ? inSubnet(plain, parseCidr(network)) : sameAddress(plain, network),
  );
}

/** By name, since that is what the Puppet certificate is for. */
function urlOf(id: string, { address, port }: ApiSettings): string {
  const host = address?.includes(":") ? `[${address}]` : (address ?? id);
  return `https://${host}:${port}`;
}
