import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { answer, local } from "../cluster/testing/status.ts";
import { judgeStatus } from "../cluster/status.ts";
import { NO_WORK, type Roll, type Work } from "../cluster/work.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import type { SwitchoverActs, SwitchoverWish } from "../vip/switchover/acts.ts";
import { failoverCommands } from "./failover.ts";
import { switchoverCommands } from "./switchover.ts";

const VIP = "10.0.0.10";
const ASK = { force: false, limitS: 900 };
const NAMES = ["s1", "s2", "s3"];

/** Servers as their members' API shows them: who holds the address, who is prepared for what. */
class Servers {
  holder = "s1";
  readonly calls: string[] = [];
  readonly prepared = new Map<string, SwitchoverWish>();
  /** Whether the last wish was to keep connections. */
  keeps = false;
  /** Called before an act; throws to have it fail. */
  interfere: (call: string) => Promise<void> = async () => undefined;

  acts(id: string): SwitchoverActs {
    const act = async (call: string) => {
      this.calls.push(`${id} ${call}`);
      await this.interfere(`${id} ${call}`);
    };
    const phase = (so: "prepared" | "moved") => ({ phase: so, because: "" });
    return {
      look: async () => ({
        addresses: [{ address: VIP, held: this.holder === id, own: `10.0.0.${id.slice(1)}` }],
        unfit: "",
        problems: [],
        windows: [],
      }),
      prepare: async (wish) => {
        this.keeps = wish.moves.some(({ peer }) => peer !== undefined);
        await act(`prepare ${wish.side}`);
        if (wish.stand === "first") this.prepared.set(id, wish);
        return phase("prepared");
      },
      handOver: async () => {
        await act("hand over");
        const to = [...this.prepared].find(([, wish]) => wish.side === "new");
        this.holder = to?.[0] ?? "";
        return [{ from: "10.0.0.77", fromPort: 4711, to: VIP, toPort: 8140 }];
      },
      taken: async (_, theirs) => {
        await act(`taken ${theirs.length}`);
        return phase("moved");
      },
      take: async () => {
        await act("take");
        this.holder = id;
      },
      end: async ({ side }) => {
        await act(`end ${side}`);
        this.prepared.delete(id);
      },
    };
  }
}

/** What is drained and paused. */
let work: Work = NO_WORK;
let cluster: EtcdTestCluster;
let servers = new Servers();
before(async () => {
  cluster = await startEtcdCluster();
});
after(async () => cluster.close());
beforeEach(() => {
  servers = new Servers();
  work = NO_WORK;
});

function commands(id = "s1", role: NodeFile["role"] = "server") {
  return switchoverCommands(depsOf(id, role));
}

function depsOf(id: string, role: NodeFile["role"] = "server") {
  const members = NAMES.map((name) =>
    answer(name, local(name), { address: `10.0.0.${name.slice(1)}` }),
  );
  const meta = { format: 1, clusterId: crypto.randomUUID(), generation: 1, createdAt: "" } as const;
  const view: View = {
    revision: 1,
    meta,
    metaText: "",
    settings: {
      sharedName: "puppet.lab.test",
      otherNames: [],
      virtualIps: [`${VIP}/24`],
      acceptProxyFrom: [],
      isolatedEdge: "serve",
      voters: 3,
    },
    members: members.map(({ member }) => member),
    work,
    etcdMembers: [],
  };
  const etcd = {
    voters: 3,
    answering: 3,
    silent: [],
    quorum: true,
    viewAgeMs: 0,
    viewAgeIsMost: false,
  };
  return {
    node: { id, role } as NodeFile,
    etcd: cluster.client(),
    view: () => view,
    status: async () =>
      judgeStatus({ answeredBy: id, meta, settings: view.settings, work, members, etcd, nowMs: 0 }),
    actsOf: (member: { id: string }) => servers.acts(member.id),
    log: createLog(() => undefined),
  };
}

test("a switchover prepares both, then has the old holder let go, and tells the new one of its connections", async () => {
  const done = await commands("s3").run({ ...ASK, to: "s2" });
  assert.deepEqual(servers.calls.slice(0, 3).toSorted(), [
    "s1 prepare old",
    "s2 prepare new",
    "s3 prepare new",
  ]);
  assert.deepEqual(servers.calls.slice(3), ["s1 hand over", "s2 taken 1", "s3 end new"]);
  assert.deepEqual(servers.prepared.get("s1")?.moves, [{ address: VIP, peer: "10.0.0.2" }]);
  assert.deepEqual(servers.prepared.get("s2")?.moves, [{ address: VIP, peer: "10.0.0.1" }]);
  assert.deepEqual([done.from, done.to, done.connections], ["s1", "s2", 1]);
  assert.deepEqual(
    done.holders.map(({ addresses }) => addresses.join()),
    ["", VIP, ""],
  );
  const again = await commands("s3").run({ ...ASK, to: "s2" });
  assert.deepEqual([again.already, servers.calls.length], [true, 6]);
});

test("a switchover of which one side can't be prepared lets nothing go, and both put back", async () => {
  servers.interfere = async (call) => {
    if (call === "s2 prepare new") throw new Fault("switchover.ended", "not heard");
  };
  await assert.rejects(commands().run(ASK), (error) => isFault(error, "switchover.ended"));
  assert.ok(!servers.calls.includes("s1 hand over"));
  const ends = servers.calls.filter((call) => call.includes("end"));
  assert.deepEqual(ends.toSorted(), ["s1 end old", "s2 end new", "s3 end new"]);
  assert.equal(servers.holder, "s1");
});

test("a switchover whose old holder lets nothing go has the new one put back at once", async () => {
  servers.interfere = async (call) => {
    if (call === "s1 hand over") throw new Fault("switchover.ended", "nothing was moved");
  };
  await assert.rejects(commands().run({ ...ASK, to: "s2" }), { code: "switchover.ended" });
  assert.ok(servers.calls.includes("s2 end new"), servers.calls.join());
  assert.equal(servers.holder, "s1");
});

test("a server that can't stand aside keeps no switchover from being done", async () => {
  servers.interfere = async (call) => {
    if (call.startsWith("s3")) throw new Fault("peer.unreachable", "no answer in time");
  };
  assert.equal((await commands().run({ ...ASK, to: "s2" })).to, "s2");
});

test("a switchover by force moves without the connections that can't be kept after all", async () => {
  servers.interfere = async (call) => {
    if (call !== "s2 prepare new" || !servers.keeps) return;
    throw new Fault("switchover.ended", "not heard");
  };
  const own = commands();
  assert.equal((await own.run({ ...ASK, to: "s2", force: true })).to, "s2");
  assert.deepEqual(servers.prepared.get("s2")?.moves, [{ address: VIP }]);
});

test("a switchover that is stopped before anything moved puts back; stopping none is no error", async () => {
  const own = commands();
  own.stop();
  servers.interfere = async (call) => {
    if (call === "s1 prepare old") own.stop();
  };
  await assert.rejects(own.run(ASK), (error) => isFault(error, "switchover.stopped"));
  assert.equal(servers.holder, "s1");
  assert.deepEqual([...servers.prepared], []);
  assert.deepEqual(own.progress().lines, []);
});

test("two switchovers don't run at once, whichever members they are run on", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  servers.interfere = async (call) => (call === "s1 hand over" ? released : undefined);
  const [first, second] = [commands("s1"), commands("s2")];
  const running = first.run(ASK);
  await until("it to hand over", () => servers.calls.includes("s1 hand over"), { withinMs: 5000 });
  assert.match(first.progress().lines.join(), /s1 lets go/);
  for (const other of [first, second]) {
    await assert.rejects(other.run(ASK), (error) => isFault(error, "switchover.running"));
  }
  release();
  assert.equal((await running).to, "s2");
  assert.equal((await second.run({ ...ASK, to: "s3" })).to, "s3");
});

test("a switchover that nobody takes says where to look", async () => {
  servers.interfere = async (call) => {
    if (call.startsWith("s2 taken")) throw new Fault("peer.unreachable", "no answer in time");
  };
  await assert.rejects(commands().run(ASK), (error) => isFault(error, "switchover.not-taken"));
});

test("a plan shows who holds what before and after; a member that is no server is sent to one", async () => {
  const plan = await commands().plan({ ...ASK, to: "s3" });
  const shown = (list: typeof plan.before) => list.map(({ addresses }) => addresses.join());
  assert.deepEqual(
    [shown(plan.before), shown(plan.after)],
    [
      [VIP, "", ""],
      ["", "", VIP],
    ],
  );
  assert.equal(plan.refused, "");
  assert.deepEqual(servers.calls, []);
  await assert.rejects(commands("w1", "witness").plan(ASK), /this member is no server/);
});

test("a switchover takes no server whose addresses an upgrade sends away", async () => {
  const until = new Date(Date.now() + 60_000).toISOString();
  const upgrade: Roll = {
    key: "k",
    does: "upgrade",
    upgrade: { parts: ["haproxy"], servers: [{ id: "s2", packages: [], moves: true }] },
    by: "ops",
    at: until,
    reason: "",
    ids: ["s2"],
    force: false,
    done: [],
    now: { id: "s2", step: "act", since: until, was: "", note: "" },
    until,
    stop: false,
  };
  work = { drains: [], upgrade };
  assert.equal((await commands().plan(ASK)).to, "s3");
  assert.match((await commands().plan({ ...ASK, to: "s2" })).refused, /it is being upgraded/);
});

test("a failover is refused while the holder answers, and takes the address when none does", async () => {
  const failover = failoverCommands(depsOf("s2"));
  const ask = { address: VIP };
  await assert.rejects(failover.run(ask), (error) => isFault(error, "failover.refused"));
  assert.deepEqual(servers.calls, []);
  // Its daemon is silent: nobody that answers holds it.
  servers.holder = "nobody";
  assert.match((await failover.plan(ask)).lines.join(), /goes to s1/);
  const done = await failover.run({ ...ask, to: "s3" });
  assert.deepEqual([done.to, servers.calls], ["s3", ["s3 take"]]);
});
