import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, edge, judge, local, silent } from "../cluster/testing/status.ts";
import type { CaVerified } from "../setup/contract.ts";
import { exitCodeOf, judgeEdges, renderVerified } from "./ca-verify.ts";

const GOOD: CaVerified = {
  certificates: 3,
  names: 2,
  requests: 1,
  revocations: 1,
  crlNumber: 4,
  fresh: true,
  findings: [],
  found: 0,
};
const FINDING = { what: "signed/a.test.pem", because: "is missing, or isn't the record's" };
const ALL = { confirmed: ["s1", "s2", "s3"], missing: [] };

void test("judgeEdges tells edges that refuse all from those behind and those that are silent", () => {
  const behind = local("s2", { edge: edge({ confirmedCrl: 3 }) });
  const status = judge([answer("s1"), answer("s2", behind), silent("s3")]);
  assert.deepEqual(judgeEdges(status, 4), {
    confirmed: ["s1"],
    missing: [
      { what: "s2", because: "refuses what CRL 3 revokes, and the newest is 4" },
      { what: "s3", because: "no answer in time" },
    ],
  });
});

void test("renderVerified says what was checked, and then what is wrong", () => {
  assert.equal(
    renderVerified(GOOD, ALL),
    "3 certificates of 2 names, 1 requests, 1 revocations\n" +
      "CRL 4: refused by 3 of 3 edges\nAll is as it must be.",
  );
  const text = renderVerified({ ...GOOD, fresh: false, findings: [FINDING], found: 5 }, ALL);
  assert.match(text, /^etcd can't be read: what this server knew last was checked\.$/m);
  assert.match(text, /^signed\/a\.test\.pem +is missing, or isn't the record's$/m);
  assert.match(text, /^… and 4 more$/m);
});

void test("exitCodeOf puts what is wrong above what isn't known", () => {
  const open = { confirmed: ["s1"], missing: [{ what: "s2", because: "no answer" }] };
  assert.equal(exitCodeOf(GOOD, ALL), 0);
  assert.equal(exitCodeOf(GOOD, open), 3);
  assert.equal(exitCodeOf({ ...GOOD, fresh: false }, ALL), 3);
  assert.equal(exitCodeOf({ ...GOOD, found: 1, findings: [FINDING] }, open), 1);
});
