import assert from "node:assert/strict";
import { test } from "node:test";
import type { Act, History, LastState, Seen } from "./history.ts";
import { parseActs } from "./history.ts";
import { listBreaches } from "./judge.ts";

const at = (fromMs: number, server = "s1", status = 200) => ({
  client: 0,
  server,
  fromMs,
  toMs: fromMs + 5,
  status,
});
const seen = (serial: string, key = "k"): Seen => ({ serial, sha256: `sha-${serial}`, key });

/** A name's whole life: asked for, given, used, renewed, cleaned, refused. */
const ACTS: readonly Act[] = [
  { ...at(0), op: "submit", name: "a", key: "k" },
  { ...at(10, "s2"), op: "fetch", name: "a", seen: seen("1") },
  { ...at(20), op: "use", name: "a", serial: "1" },
  { ...at(30), op: "renew", name: "a", seen: seen("2") },
  { ...at(40), op: "submit", name: "b", key: "kb" },
  { ...at(50), op: "fetch", name: "b", seen: seen("3", "kb") },
  { ...at(60), op: "clean", name: "a", open: [] },
  { ...at(70, "s2", 403), op: "use", name: "a", serial: "1" },
  { ...at(80), op: "crl", number: 7, sha256: "crl-7" },
];

const lastOf = (server: string): LastState => ({
  server,
  inventory: [
    { serial: "1", name: "a" },
    { serial: "2", name: "a" },
    { serial: "3", name: "b" },
  ],
  signed: new Map([["b", seen("3", "kb")]]),
  crl: { number: 7, sha256: "crl-7", serials: new Set(["1", "2"]) },
});

const good = (): History => ({
  acts: ACTS,
  crls: [
    { server: "s1", atMs: 5, number: 6, sha256: "crl-6" },
    { server: "s1", atMs: 65, number: 7, sha256: "crl-7" },
  ],
  last: [lastOf("s1"), lastOf("s2")],
  confirmed: { atMs: 100, serials: new Set(["1", "2"]) },
});

/** The good history with more acts. */
const withActs = (...acts: Act[]): History => ({ ...good(), acts: [...ACTS, ...acts] });
/** The good history whose last states are changed, on every server. */
const withLast = (change: (last: LastState) => Partial<LastState>): History => ({
  ...good(),
  last: good().last.map((last) => ({ ...last, ...change(last) })),
});

void test("listBreaches finds nothing in a good history", () => {
  assert.deepEqual(listBreaches(good()), []);
});

const CASES: [string, History, RegExp][] = [
  [
    "a serial that is two certificates'",
    withActs({ ...at(90), op: "fetch", name: "c", seen: { ...seen("3"), sha256: "other" } }),
    /serial 3 is two certificates'/,
  ],
  [
    "a serial twice in the inventory",
    withLast(({ inventory }) => ({ inventory: [...inventory, { serial: "3", name: "b" }] })),
    /serial 3 is in the inventory twice/,
  ],
  [
    "a certificate that somebody was given and no server knows",
    withActs({ ...at(90), op: "renew", name: "b", seen: seen("4", "kb") }),
    /s2: the inventory lacks b's 4, which was in renew at s1/,
  ],
  [
    "an acknowledged request without a certificate",
    withActs({ ...at(90), op: "submit", name: "c", key: "kc" }),
    /s1: c was acknowledged and has no certificate/,
  ],
  [
    "a name for two keys",
    withActs({ ...at(90), op: "fetch", name: "b", seen: seen("3", "another") }),
    /b was given to 2 keys, 1 may be/,
  ],
  [
    "more certificates of a name than were asked for",
    withLast(({ inventory }) => ({ inventory: [...inventory, { serial: "9", name: "b" }] })),
    /b has 2 certificates, 1 may be/,
  ],
  [
    "a revocation that is in no CRL",
    withLast(({ crl }) => ({ crl: { ...crl, serials: new Set(["2"]) } })),
    /a's 1 was revoked and is not in the CRL/,
  ],
  [
    "a renewal beside a revocation that is left in force",
    {
      ...withLast(({ inventory }) => ({ inventory: [...inventory, { serial: "9", name: "a" }] })),
      acts: [...ACTS, { ...at(58, "s2", 0), op: "renew", name: "a" }],
    },
    /a was revoked, and its 9 is in force/,
  ],
  [
    "a revoked certificate that passed",
    withActs({ ...at(90, "s2"), op: "use", name: "a", serial: "2" }),
    /s2 let a's 2 pass 25 ms after it was revoked/,
  ],
  [
    "a CRL that went back",
    { ...good(), crls: [...good().crls, { server: "s1", atMs: 70, number: 6, sha256: "crl-6" }] },
    /s1: CRL 6 on disk after CRL 7/,
  ],
  [
    "two CRLs of one number",
    withActs({ ...at(90), op: "crl", number: 7, sha256: "other" }),
    /CRL 7 of s1 has other bytes than elsewhere/,
  ],
  [
    "a certificate renewed beside its revocation that passed",
    {
      ...withLast(({ inventory, crl }) => ({
        inventory: [...inventory, { serial: "9", name: "a" }],
        crl: { ...crl, serials: new Set(["1", "2", "9"]) },
      })),
      acts: [
        ...ACTS,
        { ...at(58, "s2"), op: "renew", name: "a", seen: seen("9") },
        { ...at(90, "s2"), op: "use", name: "a", serial: "9" },
      ],
    },
    /s2 let a's 9 pass 25 ms after it was revoked/,
  ],
  [
    "an edge that never confirmed, and lets pass what the CRL has",
    {
      ...withLast(({ crl }) => ({ crl: { ...crl, serials: new Set(["1", "2", "3"]) } })),
      confirmed: { atMs: 100, serials: new Set(["1", "2", "3"]) },
      acts: [
        ...ACTS,
        { ...at(60), op: "revoke", name: "b", open: ["s2"] },
        { ...at(120, "s2"), op: "use", name: "b", serial: "3" },
      ],
    },
    /s2 let b's 3 pass 20 ms after every edge had confirmed the CRL/,
  ],
  [
    "a CRL that somebody was given and no server has any more",
    withActs({ ...at(90), op: "crl", number: 8, sha256: "crl-8" }),
    /s2: its last CRL is 7, and s1 gave CRL 8/,
  ],
  [
    "a serial of another name than it was given to",
    withLast(({ inventory }) => ({
      inventory: inventory.map((line) => (line.serial === "3" ? { ...line, name: "c" } : line)),
    })),
    /s1: the inventory lacks b's 3, which was in signed\/ of s2/,
  ],
  [
    "a certificate that one server lacks",
    {
      ...good(),
      last: [
        lastOf("s1"),
        { ...lastOf("s2"), inventory: lastOf("s2").inventory.filter(({ name }) => name !== "b") },
      ],
    },
    /s2: the inventory lacks b's 3, which was in signed\/ of s2/,
  ],
  [
    "a certificate that nobody was told of and one server lacks",
    {
      ...good(),
      last: [
        { ...lastOf("s1"), inventory: [...lastOf("s1").inventory, { serial: "9", name: "x" }] },
        lastOf("s2"),
      ],
    },
    /the inventories of s2 and s1 differ: -9 x/,
  ],
  [
    "CRLs that differ in the end",
    {
      ...good(),
      last: [
        lastOf("s1"),
        { ...lastOf("s2"), crl: { ...lastOf("s2").crl, number: 8, sha256: "crl-8" } },
      ],
    },
    /the CRLs of s2 and s1 differ: -7 crl-7 \+8 crl-8/,
  ],
  [
    "two files of one CRL's number, which nobody asked for",
    { ...good(), crls: [...good().crls, { server: "s2", atMs: 9, number: 6, sha256: "other" }] },
    /CRL 6 of s2 has other bytes than elsewhere/,
  ],
  ["nothing to look at", { ...good(), last: [] }, /no server was looked at in the end/],
  [
    "servers that differ in the end",
    { ...good(), last: [lastOf("s1"), { ...lastOf("s2"), signed: new Map() }] },
    /signed\/ of s2 and s1 differ: -b sha-3/,
  ],
];

for (const [what, history, expected] of CASES) {
  void test(`listBreaches finds ${what}`, () => {
    assert.match(listBreaches(history).join("\n"), expected);
  });
}

void test("listBreaches lets be what may be", () => {
  const open = { ...at(60), op: "revoke" as const, name: "b", open: ["s2"] };
  const passed = { ...at(90, "s2"), op: "use" as const, name: "b", serial: "3" };
  const revoked = withLast(({ crl }) => ({
    crl: { ...crl, serials: new Set(["1", "2", "3"]) },
  }));
  const cases: [string, History][] = [
    ["an edge that had not confirmed", { ...revoked, acts: [...ACTS, open, passed] }],
    [
      "one that was revoked after all that the edges had confirmed",
      { ...revoked, acts: [...ACTS, open, { ...passed, ...at(200, "s2") }] },
    ],
    [
      "a renewal beside a revocation, refused from then on",
      {
        ...withLast(({ inventory, crl }) => ({
          inventory: [...inventory, { serial: "9", name: "a" }],
          crl: { ...crl, serials: new Set(["1", "2", "9"]) },
        })),
        acts: [
          ...ACTS,
          { ...at(58, "s2"), op: "renew", name: "a", seen: seen("9") },
          { ...at(62, "s2"), op: "use", name: "a", serial: "9" },
          { ...at(90, "s2", 403), op: "use", name: "a", serial: "9" },
        ],
      },
    ],
    ["a use sent before the answer", withActs({ ...at(64), op: "use", name: "a", serial: "1" })],
    ["a refused request", withActs({ ...at(90, "s1", 400), op: "submit", name: "c", key: "k" })],
    [
      "a server's own certificates",
      withLast(({ inventory }) => ({
        inventory: [
          ...inventory,
          ...["a1", "a2"].map((serial) => ({ serial, name: "s1.lab.test" })),
        ],
        signed: new Map([
          ["b", seen("3", "kb")],
          ["s1.lab.test", seen("a2")],
        ]),
      })),
    ],
    [
      "one that nobody answered",
      withActs({ ...at(90, "s1", 0), op: "submit", name: "c", key: "k" }),
    ],
    [
      "one that nobody answered, done when the name had been cleaned",
      {
        ...withLast(({ inventory, signed }) => ({
          inventory: [...inventory, { serial: "9", name: "a" }],
          signed: new Map([...signed, ["a", seen("9", "ka")]]),
        })),
        acts: [
          ...ACTS,
          { ...at(50, "s2", 0), op: "submit", name: "a", key: "ka" },
          { ...at(70), op: "clean", name: "a", open: [] },
        ],
      },
    ],
  ];
  for (const [what, history] of cases) assert.deepEqual(listBreaches(history), [], what);
});

void test("parseActs leaves a torn last line out", () => {
  const line = JSON.stringify(ACTS[0]);
  assert.deepEqual(parseActs(`${line}\n${line.slice(0, 20)}`), [ACTS[0]]);
});
