import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { revokeLeaves } from "../cluster/leaves.ts";
import { deleteMember, markLeaving, readMember } from "../cluster/members.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { admit } from "../setup/admit.ts";
import { createJoiner, createTestSite, type TestSite } from "../setup/testing/site.ts";
import { createRefusals, type Doors, TAKEN_MS } from "./pki-loop.ts";

let cluster: EtcdTestCluster;
let site: TestSite;

before(async () => {
  cluster = await startEtcdCluster();
  site = await createTestSite(cluster);
});

after(async () => cluster.close());

/** Doors that keep what they are told, and can be stuck. */
function createDoors() {
  const placed = new Map<string, string>();
  const state = { stuck: false, full: false, reloads: 0, spared: [] as string[][] };
  const doors: Doors = {
    place: async (name, crl) => {
      if (state.full) throw new Error("ENOSPC: no space left on device");
      const before = placed.get(name);
      placed.set(name, crl);
      return before !== crl;
    },
    reload: async () => {
      state.reloads += 1;
    },
    endOthers: async (_name, addresses) => {
      if (state.stuck) throw new Error("a connection is still there");
      state.spared.push([...addresses]);
    },
  };
  return { doors, state };
}

test("createRefusals counts nothing as refused before the doors have taken it and let go", async () => {
  const { doors, state } = createDoors();
  let nowMs = 0;
  const refusals = createRefusals({ etcd: site.etcd, doors, nowMs: () => nowMs });
  await refusals.sync();
  nowMs += TAKEN_MS;
  await refusals.sync();
  const reloads = state.reloads;

  await admit(site.deps, createJoiner("s2.lab.test", "10.0.0.2")(await site.newToken()));
  await markLeaving(site.etcd, "s2.lab.test");
  const serials = await revokeLeaves(site.etcd, site.authorities.edge, "s2.lab.test", Date.now());
  assert.ok(serials.length > 0);
  assert.equal(refusals.inForce(serials), false);

  state.stuck = true;
  await assert.rejects(refusals.sync(), /still there/);
  assert.equal(refusals.inForce(serials), false, "a connection from before is still open");
  assert.ok(serials.every((serial) => refusals.serials("edge").has(serial)));
  await assert.rejects(refusals.sync(), /still there/);
  assert.equal(refusals.inForce(serials), false, "also when the files have it by now");

  state.stuck = false;
  await refusals.sync();
  assert.equal(refusals.inForce(serials), false, "a door may not have read it yet");
  nowMs += TAKEN_MS;
  await refusals.sync();
  assert.equal(refusals.inForce(serials), true);
  assert.deepEqual(state.spared.at(-1), ["10.0.0.1"], "whoever leaves is spared no more");
  assert.equal(state.reloads, reloads + 1);

  const was = await readMember(site.etcd, "s2.lab.test");
  assert.ok(was);
  await deleteMember(site.etcd, was);
  const ends = state.spared.length;
  await refusals.sync();
  assert.equal(state.spared.length, ends, "then nothing is left to do");
});

test("createRefusals ends connections again after a start that may have interrupted it", async () => {
  const { doors, state } = createDoors();
  await createRefusals({ etcd: site.etcd, doors, nowMs: () => 0 }).sync();
  const reloads = state.reloads;
  let nowMs = 0;
  const again = createRefusals({ etcd: site.etcd, doors, nowMs: () => nowMs });
  await again.sync();
  nowMs += TAKEN_MS;
  state.spared = [];
  await again.sync();
  assert.ok(state.spared.length > 0);
  assert.equal(state.reloads, reloads, "its listeners have read the files as they are");
});

test("createRefusals has this process's own listener refuse them also while the disk is full", async () => {
  const { doors, state } = createDoors();
  const refusals = createRefusals({ etcd: site.etcd, doors, nowMs: () => 0 });
  await refusals.sync();
  await admit(site.deps, createJoiner("s4.lab.test", "10.0.0.4")(await site.newToken()));
  state.full = true;
  const { control } = site.authorities;
  const serials = await revokeLeaves(site.etcd, control, "s4.lab.test", Date.now());
  assert.ok(serials.length > 0);
  await assert.rejects(refusals.sync(), /ENOSPC/);
  assert.ok(serials.every((serial) => refusals.serials("control").has(serial)));
  assert.equal(refusals.inForce(serials), false, "the doors haven't taken it");
});
