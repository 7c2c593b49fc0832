import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { NodeFile } from "../cluster/schema.ts";
import { continueInit } from "./init.ts";

const KEPT = NodeFile.parse({
  format: 1,
  clusterId: "5e1d7a63-4c0e-4c5b-9a39-0f3a3f0a5c11",
  generation: 1,
  id: "s1.test",
  role: "server",
  address: "10.0.0.11",
  sharedName: "puppet.test",
  phase: "setup",
  etcdEndpoints: ["https://10.0.0.11:9141"],
});
const WANTED = {
  sharedName: "puppet.test",
  address: "10.0.0.11",
  altNames: [],
  virtualIps: [],
  acceptProxyFrom: [],
  isolatedEdge: "serve" as const,
};

test("continueInit goes on with an init that was interrupted, whatever its lists were", () => {
  const wanted = {
    ...WANTED,
    altNames: [],
    virtualIps: ["10.0.0.10/24"],
    acceptProxyFrom: ["10.0.0.5"],
  };
  assert.equal(continueInit(KEPT, "s1.test", wanted), KEPT);
});

test("continueInit refuses what can't be changed any more, and says how to go on or begin anew", () => {
  const cases: [Partial<typeof WANTED>, string, RegExp][] = [
    [{ sharedName: "pupet.test" }, "setup.already-member", /begun with --name puppet\.test/],
    [{ address: "10.0.0.12" }, "setup.address", /begun with --address 10\.0\.0\.11/],
  ];
  for (const [change, code, said] of cases) {
    assert.throws(
      () => continueInit(KEPT, "s1.test", { ...WANTED, ...change }),
      (error) => {
        assert.ok(isFault(error, code));
        assert.match(error.message, said);
        assert.match(error.hints.join("\n"), /understudy init --name puppet\.test --address 10/);
        assert.match(error.hints.join("\n"), /apt-get remove understudy/);
        return true;
      },
    );
  }
});

test("continueInit refuses a member, and says how to get a token for the next server", () => {
  assert.throws(
    () => continueInit({ ...KEPT, phase: "ready" }, "s1.test", WANTED),
    (error) =>
      isFault(error, "setup.already-member") &&
      error.hints.join("\n").includes("understudy token create"),
  );
});
