import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../../base/fault.ts";
import { NodeFile } from "../../cluster/schema.ts";
import { refuseRestore, type RestoreFacts } from "./restore-plan.ts";
import { manifestOf } from "./testing/manifest.ts";

const AT = "2026-11-20T10:00:00.000Z";
const manifest = manifestOf({ at: AT });
const NEW: RestoreFacts = {
  folder: "/ca",
  there: { is: "nothing" },
  member: undefined,
  running: undefined,
  nowMs: Date.parse(AT) + 3_600_000,
};

function member(phase: NodeFile["phase"]): NodeFile {
  return NodeFile.parse({
    format: 1,
    clusterId: "00000000-0000-4000-8000-000000000000",
    generation: 1,
    id: "s2.lab.test",
    role: "server",
    address: "10.0.0.2",
    sharedName: "puppet.lab.test",
    phase,
    etcdEndpoints: ["https://10.0.0.2:9141"],
  });
}

const other = { is: "other", what: 'another CA, "CN=x", with 3 signed' } as const;

const CASES: [string, Partial<RestoreFacts>, boolean, RegExp | undefined][] = [
  ["on a new server", {}, false, undefined],
  ["with --replace where there is nothing", {}, true, undefined],
  ["a member", { member: member("ready") }, true, /this server is s2\.lab\.test of puppet/],
  ["a server whose init was interrupted", { member: member("setup") }, false, /this server is/],
  ["a server that was removed", { member: member("removed") }, false, /this server is/],
  ["a running puppetserver", { running: "puppetserver.service" }, true, /runs, and may sign/],
  ["the same CA, whole", { there: { is: "same" } }, true, /has this CA already/],
  ["another CA", { there: other }, false, /another CA, "CN=x", with 3 signed/],
  ["another CA with --replace", { there: other }, true, undefined],
  ["a clock that is a little behind", { nowMs: Date.parse(AT) - 59_000 }, false, undefined],
  ["a clock that is far behind", { nowMs: Date.parse(AT) - 61_000 }, false, /61 s behind/],
  ["a clock at its beginning", { nowMs: 0 }, false, /behind the backup's/],
];
for (const [what, facts, replace, why] of CASES) {
  void test(`refuseRestore ${why === undefined ? "lets go on" : "refuses"}: ${what}`, () => {
    const act = () => refuseRestore({ ...NEW, ...facts }, manifest, replace);
    if (why === undefined) return assert.doesNotThrow(act);
    return assert.throws(
      act,
      (error) => isFault(error, "ca") && why.test(error.message) && error.hints.length > 0,
    );
  });
}
