// The commands that change who has a PuppetDB and a courier: compared changes of the record. The
// couriers follow with the view. Danger: two PuppetDBs that are both new must not both answer, so
// the change compares every member that it was decided on.

import type { PuppetdbCommands } from "../api/local-app.ts";
import { Fault } from "../base/fault.ts";
import { memberKey, MEMBERS_PREFIX } from "../cluster/keys.ts";
import {
  conflict,
  CONFLICT_TRIES_MAX,
  parseKept,
  renderKept,
  updateSettings,
} from "../cluster/record.ts";
import {
  Member,
  type NodeFile,
  RECEIVERS_MAX,
  type ReportReceiver,
  type Settings,
} from "../cluster/schema.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { syncCommands } from "./courier-sync.ts";

/** What a server is to run. */
export interface PuppetdbWish {
  courier: boolean;
  puppetdb: boolean;
  /** Whether its PuppetDB has the others' database; undefined: as before. */
  shared?: boolean | undefined;
}

export interface PuppetdbHost {
  etcd: Etcd;
  node: NodeFile;
}

/** Changes this member, comparing every one that the change was decided on. */
export async function changeMember(
  { etcd, node }: PuppetdbHost,
  by: (own: Member, members: Member[]) => Member,
): Promise<Member> {
  for (let tries = 0; tries < CONFLICT_TRIES_MAX; tries++) {
    const { kvs } = await etcd.range(MEMBERS_PREFIX);
    const kept = kvs.map((kv) => parseKept(Member, kv));
    const members = kept.map(({ value }) => value);
    const own = kept.find(({ value }) => value.id === node.id);
    if (own === undefined) {
      throw new Fault("cluster.not-a-member", `the record has no member ${node.id}`);
    }
    const key = memberKey(node.id);
    const value = renderKept(own, by(own.value, members));
    const when = kvs.map((kv) => ({ key: kv.key, modRevision: kv.modRevision }));
    const then = [{ put: key, value }];
    const done = await etcd.transact({ when, then }, { settle: { key, value } });
    if (done.ok) return Member.parse(JSON.parse(value));
  }
  throw conflict(MEMBERS_PREFIX);
}

export function puppetdbCommands(
  host: PuppetdbHost & { wakeReload: () => void },
): PuppetdbCommands {
  const { etcd } = host;
  const change = async (by: (own: Member, members: Member[]) => Member) => changeMember(host, by);
  const syncing = syncCommands();
  return {
    sync: async () => syncing.sync(),
    diff: async () => syncing.diff(),
    async set({ clients, nodeTtlS, ...wish }) {
      if (clients.length > 0 || nodeTtlS !== undefined) {
        await updateSettings(etcd, (settings) => withPuppetdb(settings, { clients, nodeTtlS }));
      }
      const { puppetdb } = await change((own, members) => decideMember(own, members, wish));
      return puppetdb === undefined ? {} : { puppetdb };
    },
    async accept() {
      // First: the courier starts anew for what the record says, and goes on with what it keeps.
      await syncing.trust();
      await change((own) => {
        if (own.puppetdb !== undefined) {
          return { ...own, puppetdb: "answers", puppetdbAccepted: isoTime(wallMs()) };
        }
        throw new Fault("puppetdb.none-here", "this server has no PuppetDB that couriers know", {
          hints: ["Install one, then: understudy puppetdb enable"],
        });
      });
    },
    async addReceiver(receiver) {
      return changeReceivers(etcd, (all) => withReceiver(all, receiver));
    },
    async removeReceiver(name) {
      return changeReceivers(etcd, (all) => withoutReceiver(all, name));
    },
    async use(id) {
      const { kvs } = await etcd.range(MEMBERS_PREFIX);
      requireAnswering(
        id,
        kvs.map((kv) => parseKept(Member, kv).value),
      );
      const order = { id, at: isoTime(wallMs()) };
      await updateSettings(etcd, (settings) => ({ ...settings, puppetdbUse: order }));
    },
    loadAnew: () => host.wakeReload(),
  };
}

/** Throws Fault `puppetdb.none-there` where `id` has no PuppetDB that may answer queries. */
export function requireAnswering(id: string, members: readonly Member[]): void {
  const answering = members.filter(({ courier, puppetdb }) => courier && puppetdb === "answers");
  if (answering.some((member) => member.id === id)) return;
  const names = answering.map((member) => member.id).join(", ");
  throw new Fault("puppetdb.none-there", `${id} has no PuppetDB that may answer queries`, {
    hints: [
      names === "" ? "No server has one: understudy puppetdb enable" : `Those have: ${names}`,
    ],
  });
}

/**
 * The cluster's settings with what one more server's PuppetDB says: whom it lets in, and how long
 * nodes live, of which the longest holds (0: for ever).
 */
export function withPuppetdb(
  settings: Settings,
  { clients, nodeTtlS }: { clients: readonly string[]; nodeTtlS: number | undefined },
): Settings {
  const all = new Set([...(settings.puppetdbClients ?? []), ...clients]);
  const ttls = [settings.puppetdbNodeTtlS, nodeTtlS].filter((ttl) => ttl !== undefined);
  const longest = ttls.includes(0) ? 0 : Math.max(...ttls);
  return {
    ...settings,
    ...(all.size === 0 ? {} : { puppetdbClients: [...all].toSorted() }),
    ...(ttls.length === 0 ? {} : { puppetdbNodeTtlS: longest }),
  };
}

/**
 * The member as it is to be. The first PuppetDB answers queries, each later one fills first, unless
 * it has the database of the others. Throws Fault `puppetdb.database` where some would share one
 * and others not, `puppetdb.last` where others would be left with couriers and no PuppetDB that
 * answers.
 */
export function decideMember(own: Member, members: readonly Member[], wish: PuppetdbWish): Member {
  const { courier: _, puppetdb: before, puppetdbShared: sharedBefore, ...rest } = own;
  const others = members.filter(({ id, courier }) => id !== own.id && courier === true);
  const answering = others.some(({ puppetdb }) => puppetdb === "answers");
  if (wish.courier && wish.puppetdb) {
    const shared = wish.shared ?? sharedBefore ?? false;
    for (const { id, puppetdb, puppetdbShared = false } of others) {
      if (puppetdb === undefined || puppetdbShared === shared) continue;
      throw otherDatabase(id, puppetdbShared);
    }
    if (shared) return { ...rest, courier: true, puppetdb: "answers", puppetdbShared: true };
    return { ...rest, courier: true, puppetdb: before ?? (answering ? "fills" : "answers") };
  }
  if (before === "answers" && !answering && others.length > 0) {
    const names = others.map(({ id }) => id).join(", ");
    throw new Fault("puppetdb.last", `no other PuppetDB answers queries, and ${names} need one`, {
      hints: ["Let another one answer first: understudy puppetdb accept, there"],
    });
  }
  return wish.courier ? { ...rest, courier: true } : rest;
}

function otherDatabase(id: string, shared: boolean): Fault {
  const has = shared ? "shares its database" : "has a database of its own";
  return new Fault("puppetdb.database", `${id}'s PuppetDB ${has}: all do, or none`, {
    hints: [
      shared
        ? "Where this one has that database too: understudy puppetdb enable --shared-database"
        : "To change that: understudy puppetdb disable on every server first",
    ],
  });
}

async function changeReceivers(
  etcd: Etcd,
  by: (all: readonly ReportReceiver[]) => ReportReceiver[],
): Promise<ReportReceiver[]> {
  let after: ReportReceiver[] = [];
  await updateSettings(etcd, (settings) => {
    after = by(settings.reportReceivers ?? []);
    return { ...settings, reportReceivers: after };
  });
  return after;
}

/** One of the same name is replaced. Throws Fault `reports.too-many`. */
export function withReceiver(
  all: readonly ReportReceiver[],
  receiver: ReportReceiver,
): ReportReceiver[] {
  const rest = all.filter(({ name }) => name !== receiver.name);
  if (rest.length >= RECEIVERS_MAX) {
    throw new Fault("reports.too-many", `${RECEIVERS_MAX} receivers are known, and no more may be`);
  }
  return [...rest, receiver].toSorted((a, b) => a.name.localeCompare(b.name));
}

/** Throws Fault `reports.unknown`. */
export function withoutReceiver(all: readonly ReportReceiver[], name: string): ReportReceiver[] {
  if (all.some((one) => one.name === name)) return all.filter((one) => one.name !== name);
  throw new Fault("reports.unknown", `there is no receiver ${name}`, {
    hints: [`Known: ${all.map((one) => one.name).join(", ") || "none"}`],
  });
}
