import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { Member } from "../cluster/schema.ts";
import { answer } from "../cluster/testing/status.ts";
import { decideMember } from "./puppetdb.ts";

function member(id: string, more: Partial<Member> = {}): Member {
  return answer(id, undefined, more).member;
}

const BOTH = { courier: true, puppetdb: true };
const S1 = member("s1", { courier: true, puppetdb: "answers" });

test("decideMember lets the first PuppetDB answer, and the next fill first", () => {
  assert.equal(decideMember(member("s1"), [member("s1"), member("s2")], BOTH).puppetdb, "answers");
  assert.equal(decideMember(member("s2"), [S1, member("s2")], BOTH).puppetdb, "fills");
  // Asked again, nothing changes.
  assert.equal(decideMember(S1, [S1], BOTH).puppetdb, "answers");
  const only = decideMember(member("s3"), [S1, member("s3")], { courier: true, puppetdb: false });
  assert.deepEqual([only.courier, only.puppetdb], [true, undefined]);
});

test("decideMember keeps the last PuppetDB that answers while other couriers need it", () => {
  const none = { courier: false, puppetdb: false };
  const s2 = member("s2", { courier: true, puppetdb: "fills" });
  const last = (error: unknown) => isFault(error, "puppetdb.last");
  assert.throws(() => decideMember(S1, [S1, s2], none), last);
  assert.equal(decideMember(S1, [S1], none).courier, undefined);
  const left = decideMember(S1, [S1, { ...s2, puppetdb: "answers" }], none);
  assert.equal(left.puppetdb, undefined);
});
