// The command that begins an upgrade, against a real etcd, and this server's own part in it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { createLog } from "../base/log.ts";
import type { Peers } from "../cluster/peer.ts";
import { readWork, updateWork } from "../cluster/record.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { judge, three } from "../cluster/testing/status.ts";
import { NO_WORK, type PackageStep, withoutDrill, withRoll } from "../cluster/work.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import type { UpgradeLook } from "../upgrade/look.ts";
import { rollCommands } from "./roll-commands.ts";
import { upgradeCommands, upgradeOwn } from "./upgrade.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());
beforeEach(async () => {
  await updateWork(etcd.client(), () => NO_WORK);
});

const HAPROXY = { name: "haproxy", from: "2.6.12-1", to: "2.6.12-2" };
const log = createLog(() => undefined);
const wish = { parts: [], names: [], reason: "security", force: false };

/** A cluster whose three servers' apt all say that; asked by a fourth. */
function asked(changes: PackageStep[], more: Partial<UpgradeLook> = {}) {
  const installed = changes.map(({ name, from }) => {
    return { name, version: from, held: false, whole: true };
  });
  const look = { apt: true, installed, changes, removes: [], lists: "", problem: "", ...more };
  const peers = { call: async () => look } as unknown as Pick<Peers, "call">;
  const node = { id: "s4" } as NodeFile;
  const status = async () => ({ ...judge(three()), work: await readWork(etcd.client()) });
  const host = { etcd: etcd.client(), node, peers, log, status, wake: () => undefined };
  return { upgrade: upgradeCommands(host), roll: rollCommands(host), host };
}

test("upgradeCommands writes what was planned into the record, apart from restarts", async () => {
  const { upgrade, roll } = asked([HAPROXY]);
  const { steps: shown } = await upgrade.plan(wish);
  const begun = await upgrade.begin({ ...wish, shown }, "ops");
  assert.equal(begun.already, false);
  const { upgrade: recorded, roll: restart } = await readWork(etcd.client());
  assert.equal(restart, undefined, "an older member knows no other roll there");
  assert.deepEqual(recorded, begun.roll);
  assert.deepEqual(recorded.upgrade?.servers[1], {
    id: "s2",
    packages: [HAPROXY],
    moves: true,
  });
  assert.deepEqual(recorded.ids, ["s1", "s2", "s3"]);
  const again = await upgrade.begin(wish, "another");
  assert.deepEqual([again.already, again.roll.key], [true, begun.roll.key]);
  await updateWork(etcd.client(), (work) => {
    return withRoll(work, {
      ...begun.roll,
      ids: ["s1"],
      upgrade: { parts: ["haproxy"], servers: [] },
    });
  });
  const another = upgrade.begin({ ...wish, parts: ["puppetserver"] }, "ops");
  await assert.rejects(another, { code: "roll.refused" }, "that one does something else");
  assert.equal((await roll.show()).roll?.key, begun.roll.key);
  assert.equal((await roll.stop("ops")).roll?.stop, true);
});

test("upgradeCommands refuses what isn't as it was shown, nothing, and a restart under way", async () => {
  const refused = (pattern: RegExp) => (error: unknown) => pattern.test(String(error));
  const { upgrade, roll } = asked([HAPROXY]);
  const shown = (await asked([{ ...HAPROXY, to: "2.6.12-3" }]).upgrade.plan(wish)).steps;
  await assert.rejects(upgrade.begin({ ...wish, shown }, "ops"), refused(/other versions/));
  await assert.rejects(asked([]).upgrade.begin(wish, "ops"), refused(/nothing to upgrade/));
  const stale = asked([HAPROXY], { lists: "no network" }).upgrade;
  await assert.rejects(stale.begin(wish, "ops"), refused(/no network/));
  const until = isoTime(wallMs() + 60_000);
  const drill = {
    id: "0123456789ab",
    kind: "edge-kill",
    server: "s2",
    driver: "s1",
    by: "",
    at: "",
  };
  await updateWork(etcd.client(), (work) => ({ ...work, drill: { ...drill, until } }));
  await assert.rejects(upgrade.begin(wish, "ops"), refused(/the drill edge-kill at s2/));
  await updateWork(etcd.client(), (work) => withoutDrill(work, drill.id));
  assert.equal((await readWork(etcd.client())).upgrade, undefined, "nothing was begun");
  const restart = { names: [], rest: false, reason: "", force: false };
  await roll.begin(restart, "ops");
  await assert.rejects(upgrade.begin(wish, "ops"), refused(/puppetservers restart/));
});

test("upgradeOwn does nothing when it isn't this server's turn, or for a package that isn't ours", async () => {
  const { upgrade, host } = asked([HAPROXY]);
  const { roll } = await upgrade.begin(wish, "ops");
  const own = { ...host, node: { id: "s1" } as NodeFile };
  const notNow = { code: "roll.not-now" };
  await assert.rejects(upgradeOwn(own, roll.key), notNow, "it hasn't come to it");
  const until = new Date(Date.now() + 60_000).toISOString();
  const now = { id: "s1", step: "act" as const, since: until, was: "daemon", note: "" };
  const write = async (packages: PackageStep[]) => {
    const servers = [{ id: "s1", packages, moves: false }];
    const upgrading = { parts: ["haproxy"], servers };
    await updateWork(etcd.client(), () => {
      return { ...NO_WORK, upgrade: { ...roll, until, now, upgrade: upgrading } };
    });
  };
  for (const strange of [
    { ...HAPROXY, name: "openssh-server" },
    { ...HAPROXY, to: "1 -o APT::x=y" },
    { ...HAPROXY, to: "-1" },
  ]) {
    await write([strange]);
    await assert.rejects(upgradeOwn(own, roll.key), notNow);
  }
  await write([HAPROXY]);
  await assert.rejects(upgradeOwn(own, "another"), notNow);
});
