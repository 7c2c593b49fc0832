import assert from "node:assert/strict";
import { test } from "node:test";
import { peerUrl } from "../etcd/server.ts";
import { type OwnEtcdObserved, planOwnEtcd } from "./own-etcd.ts";

const member = (etcdId: string, address: string) => ({
  etcdId,
  name: address,
  peerUrls: [peerUrl(address)],
  clientUrls: [],
  learner: false,
});
const members = [member("1", "10.0.0.1"), member("2", "10.0.0.2")];

test("planOwnEtcd starts, stops and never mixes memberships", () => {
  const cases: [string, string, Omit<OwnEtcdObserved, "members">, string[]][] = [
    ["a client of others", "10.0.0.3", { dataOf: undefined, active: false }, []],
    ["removed", "10.0.0.3", { dataOf: "3", active: true }, ["stop"]],
    ["just added", "10.0.0.2", { dataOf: undefined, active: false }, ["start"]],
    ["running", "10.0.0.2", { dataOf: "2", active: true }, []],
    ["fell over", "10.0.0.2", { dataOf: "2", active: false }, ["start"]],
    ["added anew", "10.0.0.2", { dataOf: "7", active: true }, ["stop", "set-data-aside", "start"]],
    ["init's first start", "10.0.0.1", { dataOf: undefined, active: true }, []],
  ];
  for (const [name, address, observed, expected] of cases) {
    const actions = planOwnEtcd(address, { ...observed, members });
    assert.deepEqual(
      actions.map((action) => action.do),
      expected,
      name,
    );
  }
});
