// What `understudy config …` asks of this member's daemon. The rules are cluster/settings/, what
// each change means to the parts is theirs: they follow the view.

import type { ConfigCommands } from "../api/local-app.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { readMembers } from "../cluster/members.ts";
import { settingsChanged, updateSettings } from "../cluster/record.ts";
import type { Settings } from "../cluster/schema.ts";
import { diffSettings, withWish } from "../cluster/settings/catalog.ts";
import { readFormer, readSettings } from "../cluster/settings/former.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Etcd } from "../etcd/types.ts";
import { configuredAddresses, type LocalAddress } from "../host/network.ts";
import type { ConfigChange } from "../setup/config-contract.ts";
import { placeAddresses } from "./vip.ts";

export interface ConfigHost {
  etcd: Etcd;
  node: { role: string };
  keeper: Pick<ViewKeeper, "current">;
  /** The record has changed: look now. */
  wake(): void;
  /** This server's addresses; the real ones, if not given. */
  addresses?: () => Promise<LocalAddress[]>;
}

export function configCommands(host: ConfigHost): ConfigCommands {
  const { etcd, node } = host;
  const addresses = host.addresses ?? configuredAddresses;
  /** Throws Fault `config.…` for what may not be. */
  const judge = async ({ revision, settings: wish }: ConfigChange) => {
    const members = await readMembers(etcd);
    const { value: before, modRevision } = await readSettings(etcd);
    if (modRevision !== revision) throw settingsChanged();
    const after = withWish(before, wish, members);
    if (node.role === "server") requirePlaces(before, after, await addresses());
    return { changes: diffSettings(before, after), members };
  };
  return {
    async show() {
      try {
        const { value, modRevision } = await readSettings(etcd);
        return { revision: modRevision, settings: value, because: "" };
      } catch (error) {
        const settings = host.keeper.current()?.settings;
        if (settings === undefined) throw error;
        return { revision: 0, settings, because: messageOf(error) };
      }
    },
    async former() {
      const now = await readSettings(etcd);
      const all = await readFormer(etcd);
      return {
        former: all.map(({ revision, until, settings }, index) => ({
          revision,
          until,
          changes: diffSettings(settings, all[index + 1]?.settings ?? now.value),
        })),
      };
    },
    async formerAt(revision) {
      const found = (await readFormer(etcd)).find((each) => each.revision === revision);
      if (found !== undefined) return { revision, settings: found.settings, because: "" };
      throw new Fault("config.no-former", `no former settings of revision ${revision} are kept`, {
        hints: ["Those there are: understudy config history"],
      });
    },
    plan: async (wish) => {
      const { changes } = await judge(wish);
      return { revision: wish.revision, changes };
    },
    async change(wish) {
      const { changes, members } = await judge(wish);
      const { revision, settings } = wish;
      const at = await updateSettings(etcd, (now) => withWish(now, settings, members), {
        revision,
      });
      host.wake();
      return { revision: at, changes };
    },
  };
}

/** A new address must have its interface here, or nobody would notice before it is needed. */
function requirePlaces(before: Settings, after: Settings, local: readonly LocalAddress[]): void {
  const added = after.virtualIps.filter((vip) => !before.virtualIps.includes(vip));
  // Throws where there is none for any.
  const { missing } = placeAddresses(added, local);
  if (missing.length === 0) return;
  throw new Fault(
    "config.refused",
    `nothing was changed: virtualIps: no interface of this server is on the subnet of ${missing.join(", ")}`,
    { hints: ["Where it is another server's subnet: there, the same command."] },
  );
}
