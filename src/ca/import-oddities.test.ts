import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { findOddities, renderOddities, type DirectoryFacts, type Note } from "./import-oddities.ts";

const NOW_MS = Date.parse("2026-11-24T12:00:00Z");
const DAY_MS = 86_400_000;
const LATER_MS = NOW_MS + 1000 * DAY_MS;

const file = (certname: string, serial: string, notAfter = LATER_MS) => ({
  certname,
  serial,
  certificate: { notAfter },
});
const line = (certname: string, serial: string, notAfterMs = LATER_MS) => ({
  certname,
  serial,
  notBeforeMs: 0,
  notAfterMs,
});

/** A directory in good order: one certificate that is there, one that was cleaned. */
const ORDERLY: DirectoryFacts = {
  notes: [],
  signed: [file("a.test", "00000003")],
  inventory: [
    line("a.test", "00000003"),
    line("b.test", "00000004"),
    line("b.test", "00000002", 0),
  ],
  revoked: [{ serial: "00000004" }],
  serialFile: 5,
  cas: [{ subjectText: "CN=ca", notAfter: LATER_MS }],
  crls: [
    { issuerText: "CN=ca", nextUpdateMs: LATER_MS },
    { issuerText: "CN=root", nextUpdateMs: undefined },
  ],
};
const soon = NOW_MS + 89 * DAY_MS;
const { signed, inventory, revoked } = ORDERLY;

const CASES: [title: string, change: Partial<DirectoryFacts>, found: [string, string[]][]][] = [
  ["nothing of a directory in good order", {}, []],
  [
    "a certificate without its line",
    { signed: [...signed, file("c.test", "00000001")] },
    [["no-line", ["c.test"]]],
  ],
  [
    "a line in force without its file, and none that has ended",
    { inventory: [...inventory, line("c.test", "00000001"), line("d.test", "00000001", 0)] },
    [
      ["serial-twice", ["00000001 of c.test and d.test"]],
      ["no-file", ["c.test (00000001)"]],
    ],
  ],
  [
    "one serial for two names, and not the same line twice",
    { inventory: [...inventory, line("a.test", "00000003"), line("z.test", "00000003")] },
    [["serial-twice", ["00000003 of a.test and z.test"]]],
  ],
  [
    "a certificate that has expired",
    { signed: [file("a.test", "00000003", NOW_MS - 1)] },
    [["expired", ["a.test"]]],
  ],
  [
    "a revoked certificate whose file is there, expired or not",
    { signed: [...signed, file("b.test", "00000004", 0)] },
    [["revoked-file", ["b.test"]]],
  ],
  [
    "a serial file that lags behind the files",
    { serialFile: 3 },
    [["serial-behind", ["it says 3, and 4 is given"]]],
  ],
  [
    "a serial file that lags behind the CRL",
    { revoked: [...revoked, { serial: "00000010" }] },
    [["serial-behind", ["it says 5, and 10 is given"]]],
  ],
  [
    "serials that Puppet can't have given",
    { revoked: [...revoked, { serial: "FFFFFFFFFF" }] },
    [["long-serial", ["FFFFFFFFFF"]]],
  ],
  [
    "a CA that ends within 90 days",
    { cas: [...ORDERLY.cas, { subjectText: "CN=root", notAfter: soon }] },
    [["ca-ends", ["CN=root (2027-02-21T12:00:00.000Z)"]]],
  ],
  [
    "its CRL that ends within 90 days",
    { crls: [{ issuerText: "CN=ca", nextUpdateMs: soon }] },
    [["crl-ends", ["CN=ca (2027-02-21T12:00:00.000Z)"]]],
  ],
  [
    "a parent's CRL that has ended",
    { crls: [...ORDERLY.crls, { issuerText: "CN=root", nextUpdateMs: NOW_MS - DAY_MS }] },
    [["parent-crl-ends", ["CN=root (2026-11-23T12:00:00.000Z)"]]],
  ],
  [
    "what was told while reading",
    {
      notes: [
        { kind: "request", what: "x.test: no PEM" },
        { kind: "foreign", what: "f.test" },
        { kind: "request", what: "y.test: no PEM" },
      ],
    },
    [
      ["foreign", ["f.test"]],
      ["request", ["x.test: no PEM", "y.test: no PEM"]],
    ],
  ],
];
for (const [title, change, found] of CASES) {
  test(`findOddities names ${title}`, () => {
    const oddities = findOddities({ ...ORDERLY, ...change }, NOW_MS);
    assert.deepEqual(
      oddities.map(({ kind, what }) => [kind, what]),
      found,
    );
    for (const { count, what } of oddities) assert.equal(count, what.length);
  });
}

test("findOddities counts all and keeps a thousand names", () => {
  const notes = Array.from({ length: 3000 }, (_, index): Note => {
    return { kind: "foreign", what: `f${index}.test` };
  });
  const [found] = findOddities({ ...ORDERLY, notes }, NOW_MS);
  assert.deepEqual([found?.count, found?.what.length], [3000, 1000]);
});

test("renderOddities says how many, the first of them, and what to do", () => {
  const notes = ["a", "b", "c", "d"].map((what): Note => ({ kind: "foreign", what }));
  const one: Note = { kind: "line", what: '7: "x"' };
  assert.deepEqual(renderOddities(findOddities({ ...ORDERLY, notes: [one, ...notes] }, NOW_MS)), [
    "4 files in signed/ were not signed by this CA: a, b, c, …",
    "  They are left where they are, and out of the record. Move them away if nobody needs them.",
    '1 line of inventory.txt is not understood: 7: "x"',
    "  They stay in the file of this server, and out of the record.",
  ]);
});

test("findOddities names each kind once, whatever the directory", () => {
  const serial = fc.nat(6).map((number) => `0000000${number}`);
  const names = fc.constantFrom("a.test", "b.test");
  const facts = fc.record({
    signed: fc.array(fc.tuple(names, serial).map(([name, serial]) => file(name, serial))),
    inventory: fc.array(fc.tuple(names, serial).map(([name, serial]) => line(name, serial))),
    revoked: fc.array(serial.map((serial) => ({ serial }))),
    serialFile: fc.nat(9),
  });
  fc.assert(
    fc.property(facts, (facts) => {
      const oddities = findOddities({ ...ORDERLY, ...facts }, NOW_MS);
      const lines = renderOddities(oddities);
      assert.equal(lines.length, 2 * oddities.length);
      assert.equal(new Set(oddities.map(({ kind }) => kind)).size, oddities.length);
    }),
  );
});
