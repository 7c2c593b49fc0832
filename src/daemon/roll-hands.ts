// What a roll's driver does and sees at a member: its puppetserver's unit by its own daemon, the
// puppetserver itself by asking it as an edge would.

import { PuppetserverUnit, UpgradeJobAnswer } from "../api/member-app.ts";
import { messageOf } from "../base/fault.ts";
import { packagedOf } from "../cluster/backends.ts";
import { leafHostname } from "../cluster/pki.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import type { Member } from "../cluster/schema.ts";
import { warmUp } from "../puppetserver/warm-up.ts";
import type { UpgradeJob } from "../cluster/roll.ts";
import type { HandedOver } from "../setup/work-contract.ts";
import type { Core } from "./core.ts";
import { handOver, type Moves } from "./hand-over.ts";
import { askStatus, runningRequests } from "./own-record.ts";
import { readPuppetserverUnit, restartOwn } from "./puppetserver-unit.ts";
import { ownJob, upgradeOwn } from "./upgrade.ts";

const ASK_MS = 3000;
/** Its daemon asks etcd and systemd first. */
const ACT_MS = 12_000;

export interface RollHands {
  /** Undefined while its daemon doesn't answer. */
  unit(member: Member): Promise<PuppetserverUnit | undefined>;
  /** Requests that it works on; undefined where it doesn't tell. */
  running(member: Member): Promise<number | undefined>;
  /** Why it serves nothing; empty when it would. */
  unwell(member: Member): Promise<string>;
  /** Sends it its first requests. Why it fails at them; empty when it doesn't. */
  warm(member: Member): Promise<string>;
  /** Has it restarted; doesn't wait for it. */
  restart(member: Member, asked: { key: string; was: string }): Promise<void>;
  /** How far its upgrade is; undefined while its daemon doesn't answer. */
  job(member: Member, key: string): Promise<UpgradeJob | undefined>;
  /** Moves `addresses`, which one server holds, to one of `heirs`; `breaks`: why that can't be. */
  handOver(
    addresses: readonly string[],
    heirs: readonly string[],
  ): Promise<Pick<HandedOver, "breaks">>;
  /** Has it upgraded; doesn't wait for it. */
  upgrade(member: Member, key: string): Promise<void>;
}

export function rollHands(core: Core, moves: Moves): RollHands {
  const { node, layout, peers } = core;
  const isOwn = ({ id }: Member) => id === node.id;
  return {
    async unit(member) {
      const asked = isOwn(member)
        ? readPuppetserverUnit(layout.puppetserver.unit)
        : peers.call(member.address, "/v1/puppetserver", {
            answer: PuppetserverUnit,
            withinMs: ASK_MS,
          });
      return asked.catch(() => undefined);
    },
    running: async (member) => runningRequests(member, node),
    async unwell(member) {
      const backend = packagedOf(member);
      if (backend === undefined) return "edges don't know its packaged puppetserver";
      const status = await askStatus(backend, member);
      if (status === undefined) return "it doesn't answer";
      return status.state === "running" ? "" : `it says that it is ${status.state}`;
    },
    async warm(member) {
      const backend = packagedOf(member);
      if (backend === undefined) return "";
      const { ca, cert, key } = await readLeaf("edge");
      const address = backend.address ?? member.address;
      const serverName = leafHostname("listener", member.id);
      const access = { address, port: backend.port, serverName, ca, cert, key };
      return warmUp(access, { as: member.id, times: backend.jrubies }).then(() => "", messageOf);
    },
    async restart(member, body) {
      if (isOwn(member)) {
        await restartOwn(core, body);
        return;
      }
      const options = { body, answer: PuppetserverUnit, withinMs: ACT_MS };
      await peers.call(member.address, "/v1/puppetserver/restart", options);
    },
    async job(member, key) {
      const path = `/v1/upgrade?key=${encodeURIComponent(key)}`;
      const asked = isOwn(member)
        ? ownJob(key)
        : peers.call(member.address, path, { answer: UpgradeJobAnswer, withinMs: ASK_MS });
      return asked.catch(() => undefined);
    },
    // Without waiting for another switchover: whoever drives the roll tries again.
    handOver: async (addresses, heirs) =>
      (await handOver(moves, addresses, heirs, 0)) ?? { breaks: "" },
    async upgrade(member, key) {
      if (isOwn(member)) {
        await upgradeOwn(core, key);
        return;
      }
      const options = { body: { key }, answer: UpgradeJobAnswer, withinMs: ACT_MS };
      await peers.call(member.address, "/v1/upgrade", options);
    },
  };
}
