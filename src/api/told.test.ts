import assert from "node:assert/strict";
import { test } from "node:test";
import type { AuditEntry } from "./audit.ts";
import { ROUTES } from "./routes.ts";
import { tellDeed } from "./told.ts";

const DEED: AuditEntry = {
  who: "alice",
  role: "root",
  from: "socket",
  what: "POST /v1/members/remove",
  about: "s3",
  outcome: "done",
  code: "",
  tookMs: 1200,
};

test("tellDeed tells what was done, by whom and how long it took", () => {
  assert.deepEqual(tellDeed(DEED), {
    kind: "command",
    what: "removed s3",
    because: "",
    by: "alice",
    stages: [{ what: "all of it", ms: 1200 }],
  });
});

test("tellDeed gives no figure of what was quick", () => {
  assert.deepEqual(tellDeed({ ...DEED, tookMs: 30 })?.stages, []);
});

test("tellDeed tells what failed, refused or halfway, from where, and what it has no words for", () => {
  const refused = tellDeed({
    ...DEED,
    from: "10.0.0.7",
    outcome: "failed",
    code: "etcd.no-quorum",
  });
  assert.equal(refused?.what, "tried, and it failed: removed s3");
  assert.equal(refused?.because, "etcd.no-quorum");
  assert.equal(refused?.by, "alice from 10.0.0.7");
  assert.equal(tellDeed({ ...DEED, what: "POST /v1/new", about: "" })?.what, "POST /v1/new");
  const move = { ...DEED, what: "POST /v1/switchover", about: "", outcome: "failed" } as const;
  assert.equal(tellDeed(move)?.what, "tried, and it failed: moved virtual IPs");
});

test("tellDeed has words for every route that changes something", () => {
  for (const { method, path } of ROUTES) {
    const told = tellDeed({ ...DEED, what: `${method} ${path}` });
    assert.doesNotMatch(told?.what ?? "", /\/v1\//, `${method} ${path}`);
  }
});

test("tellDeed leaves out strangers, and who hasn't the role", () => {
  const knock = { ...DEED, who: "-", outcome: "refused", code: "access.refused" } as const;
  assert.equal(tellDeed(knock), undefined);
  assert.equal(tellDeed({ ...DEED, outcome: "refused", code: "access.role" }), undefined);
});

test("tellDeed leaves out reading, plans, and what the CA's own record has", () => {
  for (const what of [
    "GET /v1/status",
    "POST /v1/eject/plan",
    "POST /v1/ca/sign",
    "POST /session",
  ]) {
    assert.equal(tellDeed({ ...DEED, what }), undefined, what);
  }
});
