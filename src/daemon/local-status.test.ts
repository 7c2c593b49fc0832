// What a member tells of its own etcd, with real ones: full, alone, dead.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { isVoting } from "../cluster/status.ts";
import { answer, judge, local } from "../cluster/testing/status.ts";
import { startEtcdCluster } from "../etcd/testing/cluster.ts";
import { missingVote } from "./cluster-status.ts";
import { readOwnEtcd } from "./local-status.ts";

const MIB = 1024 * 1024;

test("readOwnEtcd tells of a full database, and no verdict holds every promise then", async () => {
  const environment = { ETCD_QUOTA_BACKEND_BYTES: String(4 * MIB) };
  const cluster = await startEtcdCluster({ environment });
  try {
    const etcd = cluster.client();
    const [url = ""] = cluster.endpoints;
    const before = await readOwnEtcd(etcd, url, true);
    assert.deepEqual(
      [before.runs, before.hasLeader, before.alarms, before.because],
      ["leader", true, [], ""],
    );
    const fill = async () => {
      for (;;) await etcd.transact({ when: [], then: [{ put: "x", value: "x".repeat(MIB) }] });
    };
    await assert.rejects(fill());
    const full = await until(
      "the alarm",
      async () => {
        const said = await readOwnEtcd(etcd, url, true);
        return said.alarms.length > 0 ? said : undefined;
      },
      { withinMs: 20_000 },
    );
    assert.deepEqual([full.runs, full.alarms, full.because], ["leader", ["NOSPACE"], ""]);
    const { verdict, warnings } = judge([answer("s1", local("s1", { etcd: full }))]);
    assert.doesNotMatch(verdict, /Every promise holds/);
    assert.match(warnings.join("\n"), /NOSPACE and takes no changes: its database is full/);
  } finally {
    await cluster.close();
  }
});

test("readOwnEtcd: an etcd that knows no leader has no vote, nor has a dead one", async () => {
  const cluster = await startEtcdCluster({ members: 3 });
  try {
    const etcd = cluster.client();
    const [left, ...others] = cluster.members;
    const url = left?.clientUrl ?? "";
    assert.ok(isVoting(local("s1", { etcd: await readOwnEtcd(etcd, url, true) })));
    await Promise.all(others.map(async (member) => member.kill()));
    const alone = await until(
      "no leader",
      async () => {
        const said = await readOwnEtcd(etcd, url, true);
        return said.runs !== "no" && !said.hasLeader ? said : undefined;
      },
      { withinMs: 30_000 },
    );
    assert.match(alone.because, /leader/);
    const members = [answer("s1", local("s1", { etcd: alone }))];
    assert.deepEqual(missingVote("s1", members), [{ id: "s1", because: alone.because }]);
    const dead = await readOwnEtcd(etcd, others[0]?.clientUrl ?? "", true);
    assert.equal(dead.runs, "no");
    assert.notEqual(dead.because, "");
    const answers = [answer("s2", local("s2", { etcd: dead }))];
    assert.deepEqual(missingVote("s2", answers), [{ id: "s2", because: dead.because }]);
  } finally {
    await cluster.close();
  }
});

test("missingVote finds a reason for every voter that doesn't count", () => {
  const { etcd } = local("s1");
  const members = [
    answer("s1"),
    { ...answer("s2"), local: undefined },
    answer("s3", local("s3", { etcd: { ...etcd, runs: "no", hasLeader: false } })),
    answer("s4", local("s4", { etcd: { ...etcd, runs: "learner" } })),
  ];
  assert.deepEqual(
    ["s1", "s2", "s3", "s4", "gone"].flatMap((name) => missingVote(name, members)),
    [
      { id: "s2", because: "the member doesn't answer" },
      { id: "s3", because: "its etcd doesn't answer" },
      { id: "s4", because: "its etcd doesn't vote" },
      { id: "gone", because: "no member has this name" },
    ],
  );
});
