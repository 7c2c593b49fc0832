import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { ApiStatus } from "../cluster/api-status.ts";
import { requireClock } from "../cluster/clock.ts";
import type { AccessKeeper } from "../cluster/access-store.ts";
import { readClusterRecord } from "../cluster/record.ts";
import { ApiSettings } from "../cluster/schema.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { answer, judge, local, silent } from "../cluster/testing/status.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { Etcd } from "../etcd/types.ts";
import { createTestSite, FIRST } from "../setup/testing/site.ts";
import { accessCommands, judgeRevoked, requireOwnPorts } from "./access.ts";

const api = (more: Partial<ApiStatus> = {}): ApiStatus => {
  return { url: "", because: "", accessRevision: 0, refused: 0, uses: [], ...more };
};
const SETTINGS = ApiSettings.parse({});

let cluster: EtcdTestCluster;
let etcd: Etcd;
before(async () => {
  cluster = await startEtcdCluster();
  ({ etcd } = await createTestSite(cluster));
});
after(async () => cluster.close());

/** The commands of a member; `said` is what the members answer when they are asked. */
function create(said: () => Promise<ClusterStatus>, offsetMs = 0) {
  const woken: string[] = [];
  const loop = (name: string) => ({ wake: () => woken.push(name) });
  const access: AccessKeeper = {
    current: () => ({ tokens: [] }),
    revision: () => 0,
    loop: loop("access") as unknown as AccessKeeper["loop"],
  };
  const keeper = {
    loop: loop("view"),
    record: () => ({ reachable: true, because: "", ageMs: 0, ageIsMost: false }),
  };
  type Host = Parameters<typeof accessCommands>[0];
  const host = { etcd, node: { id: FIRST }, keeper, access } as unknown as Host;
  const commands = accessCommands(host, {
    status: said,
    confirmCopies: async () => ({ copies: 2 }),
    requireClock: (what) => requireClock(offsetMs, what),
  });
  return { commands, woken };
}

test("judgeRevoked: members that read the revision refuse the token, the others are named", () => {
  const members = [
    answer("s1", local("s1", { api: api({ accessRevision: 7 }) })),
    answer("s2", local("s2", { api: api({ accessRevision: 6 }) })),
    answer("s3", local("s3")),
    silent("s4"),
  ];
  assert.deepEqual(judgeRevoked({ members }, 7), {
    confirmed: ["s1", "s3"],
    missing: [
      { member: "s2", because: "it hasn't read the record yet" },
      { member: "s4", because: "no answer in time" },
    ],
  });
});

test("requireOwnPorts refuses ports that Understudy has, and one port for two things", () => {
  for (const [wish, message] of [
    [{ port: 8140 }, /8140 is Understudy's own \(edge\)/],
    [{ healthPort: 9141 }, /9141 is Understudy's own \(etcdClient\)/],
    [{ port: 4444, healthPort: 4444 }, /can't share 4444/],
    [{ port: 443 }, /443 is below 1024/],
    [{ healthPort: 80 }, /80 is below 1024/],
  ] as const) {
    assert.throws(
      () => requireOwnPorts({ ...SETTINGS, ...wish }),
      (error) => isFault(error, "api.settings") && message.test(error.message),
    );
  }
  requireOwnPorts({ ...SETTINGS, healthPort: 9144 });
  requireOwnPorts({ ...SETTINGS, port: 8443 });
});

test("accessCommands: the settings are the record's, and each member tells what became of them", async () => {
  const taken = { settings: SETTINGS, url: "https://s1:9143" };
  const port = "api.listen: port 9143 is in use";
  const members = [
    answer("s1", local("s1", { api: api(taken) })),
    answer("s2", local("s2", { api: api({ settings: SETTINGS, because: port }) })),
    silent("s3"),
  ];
  const { commands, woken } = create(async () => judge(members));
  const shown = await commands.listen(SETTINGS);
  assert.deepEqual(shown, {
    settings: SETTINGS,
    members: [
      { member: "s1", url: "https://s1:9143", because: "" },
      { member: "s2", url: "", because: port },
      { member: "s3", url: "", because: "no answer in time" },
    ],
  });
  assert.deepEqual((await readClusterRecord(etcd))?.settings.value.api, SETTINGS);
  assert.deepEqual(woken, ["view"]);
});

test("accessCommands: off takes the settings away, and twice is as once", async () => {
  const { commands } = create(async () => judge([answer("s1")]));
  await commands.listen(SETTINGS);
  for (const _ of [1, 2]) await commands.off();
  assert.equal((await readClusterRecord(etcd))?.settings.value.api, undefined);
});

test("accessCommands: no token is made where the clock is wrong", async () => {
  const status = async () => judge([answer("s1")]);
  const wish = { name: "backup", role: "viewer", validMs: 60_000 } as const;
  await create(status).commands.create(wish);
  const { commands } = create(status, 120_000);
  await assert.rejects(commands.create(wish), (error) => isFault(error, "cluster.clock-off"));
  await commands.revoke("backup");
});

test("accessCommands: a token is shown once, listed with its last use, and ended with who refuses it", async () => {
  let revision = 0;
  const uses = [{ name: "grafana", at: "2026-11-20T11:00:00.000Z" }];
  const { commands } = create(async () =>
    judge([
      answer("s1", local("s1", { api: api({ accessRevision: Number.MAX_SAFE_INTEGER }) })),
      answer("s2", local("s2", { api: api({ accessRevision: revision, uses }) })),
    ]),
  );
  const made = await commands.create({ name: "grafana", role: "viewer", validMs: 60_000 });
  assert.match(made.token, /^UA1\./);
  const { tokens } = await commands.list();
  assert.deepEqual(
    tokens.map(({ name, role, expired, usedAt }) => [name, role, expired, usedAt]),
    [["grafana", "viewer", false, "2026-11-20T11:00:00.000Z"]],
  );
  assert.doesNotMatch(JSON.stringify(tokens), /[Hh]ash/);
  revision = Number.MAX_SAFE_INTEGER;
  const ended = await commands.revoke("grafana");
  assert.deepEqual(ended, { name: "grafana", confirmed: ["s1", "s2"], missing: [] });
  assert.deepEqual((await commands.list()).tokens, []);
});
