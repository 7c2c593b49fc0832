import assert from "node:assert/strict";
import { test } from "node:test";
import { describeVoters, judgeStatus, type LocalStatus, type MemberAnswer } from "./status.ts";

const nowMs = Date.parse("2026-11-20T12:00:00Z");

function local(id: string, more: Partial<LocalStatus> = {}): LocalStatus {
  return {
    id,
    role: "server",
    version: "1.0.0",
    phase: "ready",
    wallMs: nowMs,
    record: { reachable: true, because: "", ageMs: 100 },
    etcd: { runs: "voter", dbSizeBytes: 1, because: "" },
    addresses: [],
    edge: {
      active: true,
      because: "",
      confirmedCrl: 4,
      replays: 0,
      poisonous: [],
      backends: [
        { member: id, name: id, state: "up", jrubies: 4, busy: 0, waiting: 0, because: "" },
      ],
    },
    ca: {
      serving: true,
      because: "",
      requests: 0,
      certificates: 3,
      crlNumber: 4,
      crlNextUpdate: "2031-11-20T12:00:00.000Z",
      directoryBehind: "",
    },
    warnings: [],
    ...more,
  };
}

function answer(id: string, said: LocalStatus | undefined): MemberAnswer {
  const member: MemberAnswer["member"] = {
    id,
    role: "server",
    address: "10.0.0.1",
    phase: "ready",
    mayVote: true,
    backends: [],
    version: "1.0.0",
    joinedAt: "2026-11-20T10:00:00.000Z",
  };
  return {
    member,
    because: said === undefined ? "no answer in time" : "",
    ...(said && { local: said }),
  };
}

function judge(
  members: MemberAnswer[],
  etcd: Partial<Parameters<typeof judgeStatus>[0]["etcd"]> = {},
) {
  return judgeStatus({
    answeredBy: "s1",
    meta: {
      format: 1,
      clusterId: "8f0e8e8a-1c1b-4c0a-9d0e-0a0b0c0d0e0f",
      generation: 1,
      createdAt: "2026-11-20T10:00:00.000Z",
    },
    settings: {
      sharedName: "puppet.lab.test",
      otherNames: [],
      virtualIps: ["10.0.0.10/24"],
      acceptProxyFrom: [],
      voters: 3,
    },
    members,
    etcd: { voters: 3, answering: 3, quorum: true, viewAgeMs: 100, ...etcd },
    nowMs,
  });
}

const holder = local("s1", { addresses: ["10.0.0.10"] });
const healthy = [answer("s1", holder), answer("s2", local("s2")), answer("s3", local("s3"))];

test("judgeStatus says that every promise holds where it does", () => {
  const status = judge(healthy);
  assert.equal(status.toleratedFailures, 1);
  assert.deepEqual(status.warnings, []);
  assert.match(
    status.verdict,
    /^puppet.lab.test: 3 servers, tolerates 1 failure\. Every promise holds\.$/,
  );
});

test("judgeStatus tolerates nothing with fewer than three voters, with a dead one, or without quorum", () => {
  const dead = [...healthy.slice(0, 2), answer("s3", undefined)];
  assert.equal(judge(dead, { answering: 2 }).toleratedFailures, 0);
  assert.equal(judge(healthy, { voters: 1, answering: 1 }).toleratedFailures, 0);
  const without = judge(healthy, { answering: 1, quorum: false, viewAgeMs: 65_000 });
  assert.equal(without.toleratedFailures, 0);
  assert.match(without.warnings[0] ?? "", /no quorum \(1 of 3 members answer\).*1m 5s old/);
});

test("judgeStatus names what is to be looked at", () => {
  const edge = holder.edge;
  assert.ok(edge);
  const down = {
    member: "s1",
    name: "s1",
    state: "down",
    jrubies: 1,
    busy: 0,
    waiting: 0,
    because: "refused",
  };
  const cases: [string, Partial<LocalStatus>, RegExp][] = [
    ["no holder", { addresses: [] }, /Nobody that answers holds 10.0.0.10/],
    ["edge down", { edge: { ...edge, active: false, because: "x" } }, /s1's edge is down: x/],
    [
      "revocation open",
      { edge: { ...edge, confirmedCrl: 3 } },
      /s1's edge has confirmed.*CRL 3, not 4/,
    ],
    [
      "poison",
      { edge: { ...edge, poisonous: [{ certname: "web1", at: "t", servers: ["s1", "s2"] }] } },
      /catalog of web1 took s1 and s2 down \(last t\)/,
    ],
    [
      "puppetserver",
      { edge: { ...edge, backends: [down as never] } },
      /s1's puppetserver is down: refused/,
    ],
    ["clock", { wallMs: nowMs + 60_000 }, /s1's clock is 60 s off/],
    ["setup", { phase: "setup" }, /s1 hasn't finished setting up/],
    ["own warning", { warnings: ["w"] }, /^s1: w$/],
  ];
  for (const [name, more, expected] of cases) {
    const said = local("s1", { addresses: ["10.0.0.10"], ...more });
    const { warnings } = judge([answer("s1", said), ...healthy.slice(1)]);
    assert.ok(
      warnings.some((warning) => expected.test(warning)),
      `${name}: ${warnings.join("|")}`,
    );
  }
  const both = [answer("s1", holder), answer("s2", local("s2", { addresses: ["10.0.0.10"] }))];
  assert.ok(judge(both).warnings.some((warning) => warning.includes("held by s1 and s2 at once")));
});

test("judgeStatus tells the newest of what edges know of one poisonous catalog", () => {
  const { edge } = holder;
  assert.ok(edge);
  const knows = (id: string, at: string, servers: string[]) =>
    answer(id, local(id, { edge: { ...edge, poisonous: [{ certname: "web1", at, servers }] } }));
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
  const etcd = { runs: "leader" as const, dbSizeBytes: 1, because: "", planning };
  const { warnings } = judge([answer("s1", { ...holder, etcd }), ...healthy.slice(1)]);
  assert.deepEqual(warnings, [`etcd: ${planning}.`]);
});

test("judgeStatus says of a member on its way out how that is finished", () => {
  const leaving = answer("s3", local("s3"));
  leaving.member.phase = "leaving";
  const { warnings } = judge([...healthy.slice(0, 2), leaving]);
  assert.ok(warnings.some((warning) => /s3 is leaving: .*understudy leave/.test(warning)));
});
