// The commands of the API on the network: its settings, and who may use it. A change is one
// compared change of the record; then the members are asked what became of it.

import type { AccessCommands } from "../api/local-app.ts";
import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { createAccess, readAccess, revokeAccess } from "../cluster/access-store.ts";
import type { ApiStatus } from "../cluster/api-status.ts";
import { updateSettings } from "../cluster/record.ts";
import type { ApiSettings } from "../cluster/schema.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import type { AccessRevoked, ApiShown } from "../setup/contract.ts";
import type { Core } from "./core.ts";

/** More than a member's timer needs, and one that missed a call is asked again meanwhile. */
const SEEN_MS_MAX = 6000;
const ASK_EVERY_MS = 300;

export function accessCommands(
  { etcd, node, keeper, access }: Pick<Core, "etcd" | "node" | "keeper" | "access">,
  shared: {
    status: () => Promise<ClusterStatus>;
    confirmCopies: (revision: number) => Promise<{ copies: number }>;
    /** Throws Fault `cluster.clock-off` where this clock is too wrong for `what`. */
    requireClock: (what: string) => void;
  },
): AccessCommands {
  const settle = async (wanted: ApiSettings | undefined) => {
    keeper.loop.wake();
    const shown = await settled(shared.status, (status) =>
      status.members.every(({ local }) => local !== undefined && hasTaken(local.api, wanted)),
    );
    return describeApi(shown, wanted);
  };
  return {
    async list() {
      const status = await shared.status().catch(() => undefined);
      const nowMs = wallMs();
      const reachable = keeper.record().reachable;
      const kept = access.current();
      const { tokens } = reachable ? await readAccess(etcd).catch(() => kept) : kept;
      return { tokens: tokens.map((token) => describeToken(token, status, nowMs)) };
    },
    async create(wish) {
      shared.requireClock("a token that it made would end at another time than it says");
      const nowMs = wallMs();
      const { text, revision } = await createAccess(etcd, { ...wish, createdBy: node.id, nowMs });
      access.loop.wake();
      const { copies } = await shared.confirmCopies(revision);
      const { name, role, validMs } = wish;
      return { name, role, token: text, expiresAt: isoTime(nowMs + validMs), copies };
    },
    async revoke(name) {
      const { revision } = await revokeAccess(etcd, name);
      access.loop.wake();
      const status = await settled(shared.status, (seen) =>
        seen.members.every(
          ({ local }) => local !== undefined && (local.api?.accessRevision ?? revision) >= revision,
        ),
      );
      return { name, ...judgeRevoked(status, revision) };
    },
    async show() {
      const status = await shared.status();
      return describeApi(status, status.settings.api);
    },
    async listen(wish) {
      requireOwnPorts(wish);
      await updateSettings(etcd, (settings) => ({ ...settings, api: wish }));
      return settle(wish);
    },
    async off() {
      await updateSettings(etcd, (settings) => {
        const { api: _, ...rest } = settings;
        return rest;
      });
      return settle(undefined);
    },
  };
}

/** Below it the daemon has no right to listen. */
const PORT_MIN = 1024;

/** Throws Fault `api.settings` where a port is one of ours, too low, or twice the same. */
export function requireOwnPorts({ port, healthPort }: ApiSettings): void {
  const low = [port, healthPort].find((each) => each !== undefined && each < PORT_MIN);
  if (low !== undefined) {
    throw new Fault("api.settings", `port ${low} is below ${PORT_MIN}: the daemon may not take it`);
  }
  const { api, health, ...ours } = PORTS;
  const taken = Object.entries(ours).find(([, each]) => each === port || each === healthPort);
  if (taken !== undefined) {
    throw new Fault("api.settings", `port ${taken[1]} is Understudy's own (${taken[0]})`, {
      hints: [
        `Leave it at ${api} and ${health}, or choose others: /usr/share/doc/understudy/ports.md`,
      ],
    });
  }
  if (port === healthPort) {
    throw new Fault("api.settings", `the API and the plain health endpoints can't share ${port}`);
  }
}

/** Which members refuse a token that ended with `revision`, and which may not. */
export function judgeRevoked(
  { members }: Pick<ClusterStatus, "members">,
  revision: number,
): Pick<AccessRevoked, "confirmed" | "missing"> {
  const confirmed: string[] = [];
  const missing: AccessRevoked["missing"] = [];
  for (const { member, local, because } of members) {
    if (local === undefined) missing.push({ member: member.id, because });
    // An older version has no such API.
    else if ((local.api?.accessRevision ?? revision) >= revision) confirmed.push(member.id);
    else {
      const why = local.record.because || "it hasn't read the record yet";
      missing.push({ member: member.id, because: why });
    }
  }
  return { confirmed, missing };
}

function describeApi({ members }: ClusterStatus, settings: ApiSettings | undefined): ApiShown {
  return {
    ...(settings && { settings }),
    members: members.map(({ member, local, because }) => {
      if (local === undefined) return { member: member.id, url: "", because };
      if (local.api === undefined)
        return { member: member.id, url: "", because: "an older version" };
      const { url, because: why } = local.api;
      const behind = hasTaken(local.api, settings) ? "" : "it doesn't have these settings yet";
      return { member: member.id, url, because: why || behind };
    }),
  };
}

/** Whether a member has acted on `wanted`, however that came out. */
function hasTaken(api: ApiStatus | undefined, wanted: ApiSettings | undefined): boolean {
  return api === undefined || JSON.stringify(api.settings) === JSON.stringify(wanted);
}

function describeToken(
  token: Awaited<ReturnType<typeof readAccess>>["tokens"][number],
  status: ClusterStatus | undefined,
  nowMs: number,
) {
  const { name, role, createdAt, createdBy, expiresAtMs } = token;
  const uses = (status?.members ?? []).flatMap(({ local }) =>
    (local?.api?.uses ?? []).flatMap((use) => (use.name === name ? [use.at] : [])),
  );
  const usedAt = uses.toSorted().at(-1);
  return {
    name,
    role,
    createdAt,
    createdBy,
    expiresAt: isoTime(expiresAtMs),
    expired: expiresAtMs <= nowMs,
    ...(usedAt === undefined ? {} : { usedAt }),
  };
}

/** The status once `done` holds of it, or as it is when that takes too long. */
async function settled(
  status: () => Promise<ClusterStatus>,
  done: (status: ClusterStatus) => boolean,
): Promise<ClusterStatus> {
  let seen: ClusterStatus | undefined;
  try {
    return await until(
      "the members",
      async () => {
        seen = await status();
        return done(seen) ? seen : undefined;
      },
      { withinMs: SEEN_MS_MAX, everyMs: ASK_EVERY_MS },
    );
  } catch (error) {
    if (seen !== undefined && isFault(error, "base.deadline")) return seen;
    throw error;
  }
}
