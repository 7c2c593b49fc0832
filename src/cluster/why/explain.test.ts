import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../../base/fault.ts";
import { silentCourier } from "../courier-status.ts";
import { type Draft, entryOf } from "../history/entry.ts";
import type { Evidence } from "../history/evidence.ts";
import { answer, edge, judge, NOW_MS, row, silent, three } from "../testing/status.ts";
import { type Case, explain } from "./explain.ts";
import { names } from "./lines.ts";

const MINUTE_MS = 60_000;

function from(
  member: string,
  told: Partial<Draft>[] = [],
  acts: Partial<Evidence["acts"][0]>[] = [],
) {
  return {
    member,
    wallMs: NOW_MS,
    leftOut: 0,
    entries: told.map((draft, index) =>
      entryOf(
        { kind: "member", what: "?", atMs: NOW_MS - MINUTE_MS, ...draft },
        { member, number: index + 1 },
      ),
    ),
    acts: acts.map((act) => {
      return { loop: "edge", do: "reload", because: "", atMs: 0, lastMs: NOW_MS, times: 1, ...act };
    }),
  };
}

const moved: Partial<Draft> = {
  kind: "address",
  what: "s2 holds 10.0.0.10 no more",
  by: "keepalived",
};
const reluctant = {
  loop: "virtual IPs",
  do: "set-priority",
  because: "holds addresses only as far as it hears no other server",
};
const courier = {
  ...silentCourier(""),
  runs: true,
  queries: "s1",
  puppetdbs: [
    { id: "s1", fit: true, because: "", commands: 2, oldestMs: 0, deadLetters: 0 },
    {
      id: "s2",
      fit: false,
      because: "it lacks 12 nodes",
      commands: 0,
      oldestMs: 0,
      deadLetters: 0,
    },
  ],
};
const withCourier = three().map(({ member, local: said }) =>
  answer(member.id, said && { ...said, courier }, { courier: true }),
);
const down = edge({ active: false, because: "HAProxy doesn't answer" });

const CASES: [string, string, Case, RegExp[]][] = [
  [
    "an address where it is, by history, plans and edges",
    "vip",
    { status: judge(three()), evidence: [from("s2", [moved], [reluctant])] },
    [
      /^10\.0\.0\.10 is held by s1\.$/m,
      /s2: history: s2 holds 10\.0\.0\.10 no more \(keepalived\)/,
      /s2: loop "virtual IPs": set-priority: holds addresses only/,
      /s3: now: its edge is up/,
    ],
  ],
  [
    "an address that was moved on purpose, and who is last in line by somebody's wish",
    "vip",
    {
      status: judge(
        three("s2", { drained: true }),
        {},
        {
          drains: [{ id: "s2", by: "ops", at: "2026-11-20T11:59:00Z", reason: "kernel" }],
          pauses: [
            { scope: "addresses", by: "eve", at: "", reason: "x", until: "2026-11-20T13:00:00Z" },
          ],
        },
      ),
      evidence: [
        from("s1", [
          { kind: "command", event: "switchover", what: "moved virtual IPs s1", by: "root (ops)" },
          {
            kind: "work",
            what: "s2 is drained until somebody ends it",
            because: 'by ops: "kernel"',
          },
          { kind: "command", what: "revoked a1" },
        ]),
      ],
    },
    [
      /s1: history: moved virtual IPs s1 \(root \(ops\)\)/,
      /s1: history: s2 is drained until/,
      /s2: now: its edge is up, it is drained: it is last in line$/m,
      /s1: status: s2 is drained by ops: "kernel"/,
      /s1: status: Moves of addresses are paused by eve/,
      /^(?![^]*revoked)/,
    ],
  ],
  [
    "an address that nobody holds, and who may",
    "vip",
    { status: judge([silent("s1"), ...three().slice(1)]), evidence: [] },
    [
      /^No server that answers holds 10\.0\.0\.10\. s1 can't be asked, and may hold it\.$/m,
      /→ .*understudy-vip/,
    ],
  ],
  [
    "an address that two hold",
    "vip",
    { status: judge(three("s2", { addresses: ["10.0.0.10"] })), evidence: [] },
    [/held by s1 and s2 at once/, /→ .*VRRP/],
  ],
  [
    "a member that doesn't answer, and what is known of it",
    "s3",
    {
      status: judge([...three().slice(0, 2), silent("s3")]),
      evidence: [from("s1", [{ what: "s3's daemon doesn't answer" }, { what: "s33 joins" }])],
    },
    [
      /^s3's daemon can't be asked: no answer in time\..*agents need no daemon/,
      /history: s3's daemon/,
      /→ .*member remove s3/,
    ],
  ],
  [
    "a member whose join isn't through",
    "s3",
    {
      status: judge([
        ...three().slice(0, 2),
        { ...silent("s3"), member: { ...silent("s3").member, phase: "joining" } },
      ]),
      evidence: [],
    },
    [
      /^s3 hasn't finished joining: no answer in time\.$/m,
      /→ There: understudy join, as before.*remove s3/,
    ],
  ],
  [
    "a member whose edge is down",
    "s2",
    { status: judge(three("s2", { edge: down })), evidence: [] },
    [/^s2's edge is down: HAProxy doesn't answer/, /→ .*understudy-edge/],
  ],
  [
    "a member that has nothing to be looked at",
    "s2",
    { status: judge(three()), evidence: [from("s2", [], [{ because: "a new worker" }])] },
    [/^s2 is ready, and nothing is to be looked at\.$/m, /s2: loop "edge": reload: a new worker/],
  ],
  [
    "a member with a puppetserver that is down, in all edges' words",
    "s3",
    {
      status: judge(
        three("s1", {
          edge: edge({ backends: [row("s3", { state: "down", because: "refused" })] }),
        }),
      ),
      evidence: [],
    },
    [
      /edges: now: puppetserver s3 is up/,
      /s1: status: s1's edge sees s3's puppetserver as down: refused/,
    ],
  ],
  [
    "a CA without quorum",
    "ca",
    { status: judge(three(), { quorum: false, answering: 1 }), evidence: [] },
    [
      /^The CA serves on 3 of 3 .*Nothing can be signed or revoked: etcd has no quorum/,
      /s1: now: serves, CRL 4/,
    ],
  ],
  [
    "revocations that an edge doesn't refuse yet",
    "ca",
    { status: judge(three("s3", { edge: edge({ confirmedCrl: 3 }) })), evidence: [] },
    [/Not every edge refuses all that is revoked: s3\./, /status: s3's edge has confirmed/],
  ],
  [
    "PuppetDBs, one of which lacks something",
    "puppetdb",
    {
      status: judge(withCourier),
      evidence: [from("s1", [{ kind: "puppetdb", what: "queries go to s1" }])],
    },
    [
      /^1 of 2 PuppetDBs may answer; queries go to s1\.$/m,
      /s2: now: may not answer: it lacks 12 nodes; nobody asks it/,
      /history: queries go to s1/,
      /→ On s2: understudy puppetdb status/,
    ],
  ],
  ["no PuppetDB", "puppetdb", { status: judge(three()), evidence: [] }, [/^No courier/]],
  [
    "why the cluster isn't as ready as it could be",
    "not-ready",
    {
      status: judge([...three().slice(0, 2), silent("s3")], {
        answering: 2,
        silent: [{ id: "s3", because: "the member doesn't answer" }],
      }),
      evidence: [from("s1", [{ kind: "etcd", what: "etcd's voters: s1, s2" }])],
    },
    [
      /tolerates 0 failures/,
      /history: etcd's voters/,
      /status: s3 doesn't answer/,
      /→ On s3: systemctl status understudy/,
    ],
  ],
];
for (const [what, about, given, expected] of CASES) {
  test(`explain tells ${what}`, () => {
    const { verdict, evidence, todo } = explain(about, given, []);
    const text = [
      verdict,
      ...evidence.map(({ source, what }) => `${source}: ${what}`),
      ...todo.map((line) => `→ ${line}`),
    ].join("\n");
    for (const pattern of expected) assert.match(text, pattern);
    assert.doesNotMatch(text, /s33/);
  });
}

test("explain puts what happened in order before what is so now, and is bounded", () => {
  const many = Array.from({ length: 500 }, (_, index) => ({
    ...moved,
    what: `s2 holds 10.0.0.10 ${index}`,
    atMs: NOW_MS - index * MINUTE_MS,
  }));
  const evidence = [from("s2", many), from("s3", many)];
  const lines = explain("vip", { status: judge(three()), evidence }, []).evidence;
  assert.ok(lines.length < 60, `${lines.length} lines`);
  const times = lines.flatMap(({ atMs }) => atMs ?? []);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  assert.equal(lines.at(-1)?.atMs, undefined);
});

test("explain shows once what several members saw", () => {
  const seen = { subject: "puppetserver s3", state: "down" };
  const told: Partial<Draft>[] = [
    { kind: "puppetserver", what: "puppetserver s3 is down, was up", seen },
  ];
  const evidence = ["s1", "s2"].map((member) => from(member, told));
  const lines = explain("s3", { status: judge(three()), evidence }, []).evidence;
  assert.equal(lines.filter(({ what }) => what.includes("is down, was up")).length, 1);
});

test("explain refuses what is neither a topic nor a member", () => {
  for (const about of ["s9", "constructor", "__proto__", "\u001b[2J"]) {
    assert.throws(
      () => explain(about, { status: judge(three()), evidence: [] }, []),
      (error) => isFault(error, "member.not-found"),
    );
  }
});

test("names tells a member from others whose names hold its own", () => {
  const cases: [string, string, boolean][] = [
    ["s3 is down", "s3", true],
    ["it is s3.", "s3", true],
    ["s3's edge", "s3", true],
    ["s33 is down", "s3", false],
    ["s3.lab.test is down", "s3", false],
    ["as3 is down", "s3", false],
    ["s3-old is down, s3 is up", "s3", true],
  ];
  for (const [text, id, expected] of cases) assert.equal(names(text, id), expected, text);
});

test("explain says first of a server that it is drained, and by whom", () => {
  const note = 's3 is drained by ops: "kernel". Undo: understudy undrain s3';
  const status = { ...judge(three()), notes: [note] };
  const { verdict } = explain("s3", { status, evidence: [] }, []);
  assert.equal(verdict, note);
  assert.match(explain("s2", { status, evidence: [] }, []).verdict, /^s2 is ready/);
});
