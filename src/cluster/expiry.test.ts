import assert from "node:assert/strict";
import { test } from "node:test";
import { type Expiry, type ExpiryKind, expiryWarnings, judgeExpiry } from "./expiry.ts";

const NOW_MS = Date.parse("2026-11-24T12:00:00Z");
const DAY_MS = 86_400_000;
const at = (days: number) => new Date(NOW_MS + days * DAY_MS).toISOString();

/** Something in force for ten years, `left` days before its end. */
const ending = (kind: ExpiryKind, left: number, more: Partial<Expiry> = {}): Expiry => ({
  kind,
  what: "CN=x",
  from: at(left - 3650),
  to: at(left),
  ...more,
});

const CASES: [title: string, expiry: Expiry, said: RegExp | undefined][] = [
  ["a CA with 91 days left", ending("puppet-ca", 91), undefined],
  [
    "a CA with 89 days left",
    ending("puppet-ca", 89),
    /^the Puppet CA \(CN=x\) ends on 2027-02-21\. /,
  ],
  ["a CA that has ended", ending("puppet-ca", -1), /has ended on 2026-11-23\. All certificates/],
  ["a parent's list with 89 days left", ending("parent-crl", 89), /understudy ca crl import FILE$/],
  [
    "a parent's list of a month, 20 days left",
    ending("parent-crl", 20, { from: at(-10) }),
    undefined,
  ],
  [
    "a parent's list of a month, 9 days left",
    ending("parent-crl", 9, { from: at(-21) }),
    /ends on/,
  ],
  [
    "a server's certificate",
    ending("server-certificate", 60),
    /understudy leave, delete that file/,
  ],
  ["the API's certificate with 15 days left", ending("api-certificate", 15), undefined],
  [
    "the API's certificate with 13 days left",
    ending("api-certificate", 13),
    /^the certificate of its API \(CN=x\) ends on .*taken by themselves\.$/,
  ],
  ["a token with 15 days left", ending("access-token", 15), undefined],
  [
    "a token with 13 days left",
    ending("access-token", 13),
    /^the access token \(CN=x\) ends on 2026-12-07\. .*understudy access create/,
  ],
  ["our own CA", ending("cluster-ca", 60), /^the cluster's own CA \(CN=x\) ends/],
  ["a list that is not due yet", ending("puppet-crl", 60, { due: at(1) }), undefined],
  ["a list that was due six days ago", ending("puppet-crl", 60, { due: at(-6) }), undefined],
  [
    "a list that was due eight days ago, however long it lasts",
    ending("puppet-crl", 1000, { due: at(-8) }),
    /should have been renewed on 2026-11-16 and wasn't; it ends on 2029-08-20\. .*crl refresh$/,
  ],
  ["what only a newer version knows", { ...ending("puppet-ca", 60), kind: "x" }, /^CN=x ends on/],
  [
    "what is named like a part of an object",
    { ...ending("puppet-ca", 60), kind: "constructor" },
    /^CN=x/,
  ],
];
for (const [title, expiry, said] of CASES) {
  test(`judgeExpiry ${said === undefined ? "says nothing" : "warns"} of ${title}`, () => {
    const text = judgeExpiry(expiry, NOW_MS);
    if (said === undefined) assert.equal(text, undefined);
    else assert.match(text ?? "", said);
  });
}

test("expiryWarnings tells what all members share once, and names the member of the rest", () => {
  const shared = ending("puppet-ca", 30);
  const own = ending("server-certificate", 30, { what: "/s.pem" });
  const members = ["s1", "s2"].map((id) => ({ id, expiries: [shared, own] }));
  const [first, ...rest] = expiryWarnings(members, NOW_MS);
  assert.match(first?.text ?? "", /^The Puppet CA/);
  assert.deepEqual(
    rest.map(({ text }) => text.split(" (")[0]),
    ["s1: its Puppet certificate", "s2: its Puppet certificate"],
  );
});

test("expiryWarnings tells a CA from its list, and what ends within a week is critical", () => {
  const all = [
    ending("puppet-ca", 30),
    ending("parent-crl", 6),
    ending("parent-crl", 6, { what: "CN=y", from: at(-12) }),
    ending("parent-crl", 2, { what: "CN=y", from: at(-12) }),
    ending("server-certificate", -1, { what: "/s.pem" }),
    ending("access-token", 3),
  ];
  const said = all.flatMap((each) => expiryWarnings([{ id: "s1", expiries: [each] }], NOW_MS));
  assert.deepEqual(
    said.map(({ subject, severity }) => [subject, severity]),
    [
      ["CN=x", "warning"],
      ["CRL CN=x", "critical"],
      ["CRL CN=y", "critical"],
      ["s1 /s.pem", "critical"],
      ["CN=x", "warning"],
    ],
  );
});
