import assert from "node:assert/strict";
import { test } from "node:test";
import { describeVoters, type LocalStatus } from "./status.ts";
import { answer, edge, judge, local, NOW_MS, row, silent, three } from "./testing/status.ts";

test("judgeStatus says that every promise holds where it does", () => {
  const status = judge(three());
  assert.equal(status.toleratedFailures, 1);
  assert.deepEqual(status.warnings, []);
  assert.equal(
    status.verdict,
    "puppet.lab.test: 3 servers, tolerates 1 failure. Every promise holds.",
  );
});

test("judgeStatus warns of a CA that ends soon once, and of no agent's certificate", () => {
  const day = 86_400_000;
  const at = (days: number) => new Date(NOW_MS + days * day).toISOString();
  const expiries = [{ kind: "puppet-ca", what: "CN=ca", from: at(-3650), to: at(30) }];
  const { ca } = local("s1");
  const agent = ca === undefined ? {} : { ca: { ...ca, nextExpiry: { what: "a1", at: at(1) } } };
  const members = ["s1", "s2"].map((id) => answer(id, local(id, { expiries, ...agent })));
  const { warnings } = judge([...members, answer("s3")]);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /^The Puppet CA \(CN=ca\) ends on 2026-12-20\. /);
});

test("judgeStatus tolerates nothing without a spare of every part, and says which", () => {
  const dead = [...three().slice(0, 2), silent("s3")];
  const lost = (member: string) => row(member, { state: "down", because: "refused" });
  const oneCompiles = [
    answer("s1", local("s1", { edge: edge({ backends: [row("s1"), lost("s2"), lost("s3")] }) })),
    silent("s2"),
    silent("s3"),
  ];
  const full = { runs: "voter", hasLeader: true, dbSizeBytes: 1, because: "" } as const;
  const edgeless = (id: string) =>
    answer(id, local(id, { edge: edge({ active: false, because: "x", backends: [] }) }));
  const cases: [string, ReturnType<typeof judge>, string][] = [
    ["a dead voter", judge(dead, { answering: 2 }), " (2 of 3 etcd members answer)"],
    ["one voter", judge(three(), { voters: 1, answering: 1 }), ""],
    ["no quorum", judge(three(), { answering: 1, quorum: false }), " (etcd has no quorum)"],
    ["puppetservers", judge(oneCompiles), " (1 of 3 edges are up)"],
    [
      "an alarm",
      judge(three("s2", { etcd: { ...full, alarms: ["NOSPACE"] } })),
      " (etcd takes no changes: NOSPACE)",
    ],
    ["edges", judge([answer("s1"), edgeless("s2"), edgeless("s3")]), " (1 of 3 edges are up)"],
  ];
  for (const [what, { toleratedFailures, verdict }, because] of cases) {
    assert.equal(toleratedFailures, 0, what);
    assert.ok(verdict.includes(`tolerates 0 failures${because}. `), `${what}: ${verdict}`);
    assert.doesNotMatch(verdict, /Every promise holds/, what);
  }
});

test("judgeStatus counts puppetservers that are up, on whatever edge they are seen", () => {
  const down = (member: string) => row(member, { state: "down", because: "refused" });
  const backends = [row("s1"), down("s2"), down("s3")];
  const two = ["s1", "s2", "s3"].map((id) => answer(id, local(id, { edge: edge({ backends }) })));
  const status = judge(two);
  assert.equal(status.toleratedFailures, 0);
  assert.match(status.verdict, /tolerates 0 failures \(1 of 3 puppetservers are up\)\. 2 to look/);
  assert.deepEqual(status.warnings, [
    "s2's puppetserver is down: refused",
    "s3's puppetserver is down: refused",
  ]);
  const compiler = answer("c1", local("c1", { role: "compiler", edge: undefined, ca: undefined }));
  const seen = edge({ backends: [row("s1"), row("s2"), row("s3"), down("c1")] });
  const withCompiler = judge([
    ...["s1", "s2", "s3"].map((id) => answer(id, local(id, { edge: seen }))),
    compiler,
  ]);
  assert.equal(withCompiler.toleratedFailures, 1);
  assert.deepEqual(withCompiler.warnings, ["c1's puppetserver is down: refused"]);
});

test("judgeStatus says what a CA that serves can't do, and what it can't account for", () => {
  const { ca } = local("s2");
  assert.ok(ca);
  const said = (change: Partial<typeof ca>) => judge(three("s2", { ca: { ...ca, ...change } }));
  const status = said({ because: "CRL 9 comes out with 2 entries" });
  assert.doesNotMatch(status.verdict, /Every promise holds/);
  assert.deepEqual(status.warnings, ["s2's CA serves, but: CRL 9 comes out with 2 entries"]);
  assert.match(
    said({ serving: false, because: "no CRL" }).warnings[0] ?? "",
    /can't serve: no CRL/,
  );
  assert.match(
    said({ unreadable: ["k"] }).warnings[0] ?? "",
    /can't read 1 key of the record \(k\)/,
  );
  const files = said({ unknownFiles: ["/a.pem", "/b.pem"] }).warnings[0] ?? "";
  assert.match(files, /2 files \(\/a\.pem, …\)/);
});

test("judgeStatus names what is to be looked at", () => {
  const { etcd } = local("s1");
  const down = row("s1", { state: "down", because: "refused" });
  const cases: [string, Partial<LocalStatus>, RegExp][] = [
    ["no holder", { addresses: [] }, /^Nobody that answers holds 10.0.0.10/],
    ["edge down", { edge: edge({ active: false, because: "x" }) }, /^s1's edge is down: x/],
    [
      "revocation open",
      { edge: edge({ confirmedCrl: 3 }) },
      /^s1's edge has confirmed.*CRL 3, not 4/,
    ],
    [
      "poison",
      { edge: edge({ poisonous: [{ certname: "web1", at: "t", servers: ["s1", "s2"] }] }) },
      /catalog of web1 took s1 and s2 down \(last t\)/,
    ],
    [
      "an edge that can't reach one",
      { edge: edge({ backends: [down, row("s2"), row("s3")] }) },
      /^s1's edge sees s1's puppetserver as down: refused$/,
    ],
    [
      "clock",
      { clock: { offsetMs: -60_500, others: [] } },
      /^s1's clock is 61 s behind .* it signs/,
    ],
    [
      "older clock",
      { wallMs: NOW_MS + 60_000 },
      /^s1's clock is 60 s ahead of the others': from 60/,
    ],
    ["setup", { phase: "setup" }, /^s1 hasn't finished setting up/],
    ["own warning", { warnings: ["w"] }, /^s1: w$/],
    [
      "full etcd",
      { etcd: { ...etcd, alarms: ["NOSPACE"] } },
      /^etcd has raised the alarm NOSPACE and takes no changes: its database is full \(understudy member compact\)\.$/,
    ],
    [
      "nearly full etcd",
      { etcd: { ...etcd, dbSizeBytes: 3.5 * 1024 ** 3 } },
      /^s1's etcd has a nearly full database: understudy member compact$/,
    ],
    ["etcd's own words", { etcd: { ...etcd, because: "slow disk" } }, /^s1's etcd: slow disk$/],
  ];
  for (const [name, more, expected] of cases) {
    const { warnings, verdict } = judge(three("s1", more));
    assert.equal(
      warnings.filter((warning) => expected.test(warning)).length,
      1,
      `${name}: ${warnings.join("|")}`,
    );
    assert.doesNotMatch(verdict, /Every promise holds/, name);
  }
  const both = judge(three("s2", { addresses: ["10.0.0.10"] }));
  assert.ok(both.warnings.some((warning) => warning.includes("held by s1 and s2 at once")));
});

test("judgeStatus names a dead voter, and says how old its view is without quorum", () => {
  const missing = [{ id: "s3", because: "connection refused" }];
  assert.deepEqual(judge(three(), { answering: 2, silent: missing }).warnings, [
    "s3's vote in etcd is missing: connection refused",
  ]);
  const without = { answering: 1, quorum: false, silent: missing, viewAgeMs: 65_000 };
  assert.match(
    judge(three(), without).warnings[0] ?? "",
    /no quorum \(1 of 3 members answer\).* is 1m 5s old\.$/,
  );
  assert.match(
    judge(three(), { ...without, viewAgeIsMost: true }).warnings[0] ?? "",
    /is at most 1m 5s old\.$/,
  );
});

test("judgeStatus tells the newest of what edges know of one poisonous catalog", () => {
  const knows = (id: string, at: string, servers: string[]) =>
    answer(id, local(id, { edge: edge({ poisonous: [{ certname: "web1", at, servers }] }) }));
  const [newer, older] = ["2026-11-20T12:00:00.000Z", "2026-11-20T11:30:00.000Z"];
  const status = judge([knows("s1", newer, ["s2", "s3"]), knows("s2", older, ["s1"])]);
  const said = status.warnings.filter((warning) => warning.includes("web1"));
  assert.equal(said.length, 1);
  assert.match(said[0] ?? "", /took s2 and s3 down \(last 2026-11-20T12:00/);
});

test("describeVoters says why fewer vote than are wanted, or that more still do", () => {
  const cases: [number, number, number, RegExp][] = [
    [3, 3, 3, /^$/],
    [3, 3, 4, /^$/],
    [3, 1, 2, /join more servers \(3 in all\)/],
    [3, 1, 3, /1 of 3 voters yet: it is growing/],
    [3, 2, 2, /2 voters, of which 1 will stay/],
    [5, 3, 4, /5 etcd voters are wanted, 3 vote: join more servers \(5 in all\)/],
    [5, 3, 5, /3 of 5 voters yet/],
    [1, 1, 3, /member voters 3/],
  ];
  for (const [wanted, voters, servers, expected] of cases) {
    assert.match(
      describeVoters(wanted, voters, servers),
      expected,
      `${wanted} ${voters} ${servers}`,
    );
  }
});

test("judgeStatus passes on what etcd's leader waits for", () => {
  const planning = "5 are to vote, but s4 isn't ready";
  const { warnings } = judge(three("s1", { etcd: { ...local("s1").etcd, planning } }));
  assert.deepEqual(warnings, [`etcd: ${planning}.`]);
});

test("judgeStatus says of a member on its way out how that is finished", () => {
  const leaving = answer("s3", local("s3"), { phase: "leaving" });
  const { warnings } = judge([...three().slice(0, 2), leaving]);
  assert.ok(warnings.some((warning) => /s3 is leaving: .*understudy leave/.test(warning)));
});

test("judgeStatus says what is open after the CA was ejected: unfinished, unanswered, or two CAs", () => {
  const ejected = { to: "s1", at: "2026-11-20T12:00:00Z", alone: false, handedOver: true };
  const asking = (up: boolean) => edge({ stockCa: { of: "s1", up } });
  const cases: [string, Parameters<typeof three>[1], RegExp][] = [
    [
      "s1",
      { ca: withEjected({ ...ejected, handedOver: false }) },
      /ejected to s1, and nobody signs/,
    ],
    ["s2", { ca: withEjected(ejected), edge: asking(true) }, /s2 handed its CA .* names s1/],
    [
      "s2",
      { ca: withEjected({ ...ejected, handedOver: false }), edge: asking(false) },
      /s2's edge gets no answer from the CA of s1/,
    ],
    [
      "s1",
      { ca: withEjected(ejected), edge: asking(false) },
      /s1's edge gets no .*up\? If .*: understudy eject/,
    ],
  ];
  for (const [id, more, warning] of cases) {
    const { warnings } = judge(three(id, more));
    assert.equal(warnings.filter((text) => warning.test(text)).length, 1, warnings.join("\n"));
  }
  const done = three("s1", { ca: withEjected(ejected), edge: asking(true) });
  assert.deepEqual(judge(done).warnings, []);
});

function withEjected(ejected: NonNullable<NonNullable<LocalStatus["ca"]>["ejected"]>) {
  const { ca } = local("s1");
  return { ...(ca as NonNullable<LocalStatus["ca"]>), ejected };
}
