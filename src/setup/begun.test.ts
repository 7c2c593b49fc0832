import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { NodeFile } from "../cluster/schema.ts";
import { clientUrl } from "../etcd/server.ts";
import { decideJoin, refuseOther, startedBy } from "./begun.ts";

const OWN = [clientUrl("10.0.0.2")];
const THEIRS = [clientUrl("10.0.0.1")];
const wish = { id: "s2.lab.test", caHash: "theirs" };
const nothing = { controlCa: undefined, authority: undefined };

function node(more: Partial<NodeFile>): NodeFile {
  return {
    ...NodeFile.parse({
      format: 1,
      clusterId: "00000000-0000-4000-8000-000000000000",
      generation: 1,
      id: "s2.lab.test",
      role: "server",
      address: "10.0.0.2",
      sharedName: "puppet.lab.test",
      phase: "setup",
      etcdEndpoints: THEIRS,
    }),
    ...more,
  };
}

test("startedBy tells by the etcd that a file names where it doesn't say", () => {
  assert.equal(startedBy(node({ etcdEndpoints: OWN })), "init");
  assert.equal(startedBy(node({ etcdEndpoints: THEIRS })), "join");
  assert.equal(startedBy(node({ etcdEndpoints: [...THEIRS, ...OWN] })), "join");
  assert.equal(startedBy(node({ startedBy: "join", etcdEndpoints: OWN })), "join");
});

test("decideJoin goes on only with a join of the token's cluster", () => {
  assert.deepEqual(decideJoin(undefined, nothing, wish), { resumed: false, caIsOurs: false });
  const left = { controlCa: "theirs", authority: undefined };
  assert.deepEqual(decideJoin(node({}), left, wish), { resumed: true, caIsOurs: false });
  const whole = { controlCa: "theirs", authority: "theirs" };
  assert.deepEqual(decideJoin(node({}), whole, wish), { resumed: true, caIsOurs: true });
  const stale = { controlCa: "theirs", authority: "another's" };
  assert.equal(decideJoin(node({}), stale, wish).caIsOurs, false);
});

test("decideJoin refuses what else was begun here, or is whole", () => {
  const left = { controlCa: "theirs", authority: "theirs" };
  const cases: [string, NodeFile, typeof left | typeof nothing, string][] = [
    ["an init", node({ startedBy: "init", etcdEndpoints: OWN }), left, "setup.other-command"],
    ["an older init", node({ etcdEndpoints: OWN }), left, "setup.other-command"],
    ["another join", node({}), { ...left, controlCa: "another's" }, "join.other-cluster"],
    ["a join without its CA", node({}), nothing, "join.other-cluster"],
    ["another name", node({ id: "s9.lab.test" }), left, "setup.already-member"],
    ["a whole member", node({ phase: "ready" }), left, "setup.already-member"],
    ["a removed one", node({ phase: "removed" }), left, "member.removed"],
  ];
  for (const [name, kept, there, code] of cases) {
    assert.throws(
      () => decideJoin(kept, there, wish),
      (error) => isFault(error, code),
      name,
    );
  }
});

test("refuseOther says how to finish the command that was begun", () => {
  const refusal = (kept: NodeFile, command: "init" | "join", hint: RegExp) =>
    assert.throws(
      () => refuseOther(kept, command),
      (error) => isFault(error, "setup.other-command") && hint.test(error.hints.join("\n")),
    );
  refusal(node({}), "init", /understudy join.*puppet\.lab\.test[^]*member remove s2\.lab\.test/);
  refusal(node({ etcdEndpoints: OWN }), "join", /understudy init --name puppet\.lab\.test/);
  refuseOther(node({}), "join");
});
