import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { type Member, type ReportReceiver, Settings } from "../cluster/schema.ts";
import { answer } from "../cluster/testing/status.ts";
import { decideMember, withPuppetdb, withReceiver, withoutReceiver } from "./puppetdb.ts";

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

test("receivers of reports: a name again changes the URL, eight at most, unknown ones are told", () => {
  const one = (index: number) => ({ name: `r${index}`, url: `https://r${index}.test/` });
  const eight = Array.from({ length: 8 }, (_, index) => one(7 - index)).reduce(
    (all: ReportReceiver[], receiver) => withReceiver(all, receiver),
    [],
  );
  assert.deepEqual(
    eight.map(({ name }) => name),
    ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"],
  );
  assert.throws(() => withReceiver(eight, one(8)), { code: "reports.too-many" });
  const moved = withReceiver(eight, { name: "r3", url: "https://new.test/" });
  assert.equal(moved.find(({ name }) => name === "r3")?.url, "https://new.test/");
  assert.equal(moved.length, 8);
  assert.equal(withoutReceiver(eight, "r3").length, 7);
  assert.throws(() => withoutReceiver(eight, "x"), { code: "reports.unknown" });
});

test("withPuppetdb lets in whoever any PuppetDB did, and nodes live as long as with the most patient", () => {
  const settings = Settings.parse({ sharedName: "puppet.test" });
  const after = (nodeTtlS: number | undefined, before?: number) =>
    withPuppetdb(
      { ...settings, ...(before === undefined ? {} : { puppetdbNodeTtlS: before }) },
      { clients: [], nodeTtlS },
    ).puppetdbNodeTtlS;
  assert.equal(after(undefined), undefined);
  assert.equal(after(5), 5);
  assert.equal(after(5, 9), 9);
  assert.equal(after(9, 5), 9);
  assert.equal(after(0, 9), 0);
  assert.equal(after(9, 0), 0);
  assert.equal(after(undefined, 9), 9);
  const one = withPuppetdb(settings, { clients: ["b", "a"], nodeTtlS: undefined });
  const two = withPuppetdb(one, { clients: ["b", "c"], nodeTtlS: undefined });
  assert.deepEqual(two.puppetdbClients, ["a", "b", "c"]);
});

test("decideMember: all PuppetDBs share one database, or none does", () => {
  const sharing = { courier: true, puppetdb: "answers", puppetdbShared: true } as const;
  const single = { courier: true, puppetdb: "answers" } as const;
  const own = member("s2");
  const decide = (other: Partial<Member>, wish: object, before: Partial<Member> = {}) =>
    decideMember(member("s2", before), [member("s1", other), own], { ...BOTH, ...wish });
  assert.deepEqual(
    [decide(sharing, { shared: true }), decide({}, { shared: true })].map((one) => [
      one.puppetdb,
      one.puppetdbShared,
    ]),
    [
      ["answers", true],
      ["answers", true],
    ],
  );
  assert.equal(decide(sharing, {}, sharing).puppetdbShared, true);
  assert.equal(decide(single, {}).puppetdb, "fills");
  assert.equal(decide({}, { shared: false }, sharing).puppetdbShared, undefined);
  for (const [other, wish] of [
    [sharing, {}],
    [sharing, { shared: false }],
    [single, { shared: true }],
  ] as const) {
    assert.throws(() => decide(other, wish), { code: "puppetdb.database" });
  }
  const gone = decideMember(member("s2", sharing), [member("s1", sharing)], {
    courier: true,
    puppetdb: false,
  });
  assert.deepEqual([gone.puppetdb, gone.puppetdbShared], [undefined, undefined]);
});
