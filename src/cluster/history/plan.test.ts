import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_WORK, Work } from "../work.ts";
import type { View } from "../view.ts";
import type { LocalStatus } from "../status.ts";
import {
  answer,
  edge,
  judge,
  local,
  NOW_MS as NOW_MS_OF_STATUS,
  row,
  three,
} from "../testing/status.ts";
import { type Facts, type FactSources, gatherFacts, keepFacts } from "./facts.ts";
import { planHistory } from "./plan.ts";

const NOW_MS = 1_000_000;
const { settings, meta } = judge(three());
const ETCD_MEMBERS = ["s1", "s2", "s3"].map((name) => ({
  etcdId: name,
  name,
  peerUrls: [],
  clientUrls: [],
  learner: false,
}));

function view(more: Partial<View> = {}): View {
  const members = three().map(({ member }) => member);
  return {
    revision: 1,
    work: NO_WORK,
    meta,
    metaText: "x",
    settings,
    members,
    etcdMembers: ETCD_MEMBERS,
    ...more,
  };
}

function sources(more: Partial<FactSources> = {}): FactSources {
  return { local: local("s1"), view: view(), leads: false, answering: new Map(), ...more };
}

const here = (more: Partial<LocalStatus>): Partial<FactSources> => ({ local: local("s1", more) });
const ca = (more: object) => ({ ...local("s1").ca, revocations: 7, ...more }) as LocalStatus["ca"];
const withBackend = (state: "up" | "down" | "unknown", because = "") =>
  here({ edge: edge({ backends: [row("s2", { state, because })] }) });

/** What is told of two looks, one after the other. */
function tell(before: Partial<FactSources>, after: Partial<FactSources>) {
  const known = keepFacts({}, gatherFacts(sources(before), {}));
  return planHistory(known, gatherFacts(sources(after), known), "s1", NOW_MS);
}

const member = (id: string, more: object) => answer(id, local(id), more).member;
const without = (id: string) => view().members.filter((each) => each.id !== id);

const DRAIN = { id: "s3", by: "ops", at: "x", reason: "kernel" };
const PAUSE = {
  scope: "chores",
  by: "ops",
  at: "x",
  reason: "audit",
  until: new Date(NOW_MS_OF_STATUS + 3_600_000).toISOString(),
};
const ROLL = {
  key: "k",
  does: "restart",
  by: "ops",
  at: "x",
  ids: ["s1", "s2"],
  done: [],
  until: "x",
};

const CASES: [string, Partial<FactSources>, Partial<FactSources>, (string | RegExp)[]][] = [
  ["nothing where nothing changed", {}, {}, []],
  ["an address that goes", {}, here({ addresses: [] }), ["address: s1 holds 10.0.0.10 no more"]],
  [
    "an address that goes, and why it may have",
    {},
    here({ addresses: [], edge: edge({ active: false, because: "HAProxy doesn't answer" }) }),
    [
      "edge: s1's edge is down: HAProxy doesn't answer",
      "address: s1 holds 10.0.0.10 no more: its edge is down: HAProxy doesn't answer",
    ],
  ],
  ["an address that comes", here({ addresses: [] }), {}, ["address: s1 holds 10.0.0.10"]],
  ["a new leader", {}, { leads: true }, ["leader: s1 runs the cluster's chores"]],
  [
    "a member that joins, comes to be one, and leaves",
    { view: view({ members: without("s3") }) },
    { view: view({ members: [...without("s3"), member("s3", { phase: "joining" })] }) },
    ["member: s3 joins (server, 10.0.0.1)"],
  ],
  [
    "a member that is ready",
    { view: view({ members: [...without("s3"), member("s3", { phase: "joining" })] }) },
    {},
    ["member: s3 is a member (server, 10.0.0.1)"],
  ],
  [
    "a member that is gone, and nothing else of it",
    { answering: new Map([["s3", true]]) },
    { view: view({ members: without("s3") }) },
    ["member: s3 is no member any more: it was ready"],
  ],
  [
    "voters",
    {},
    { view: view({ etcdMembers: ETCD_MEMBERS.slice(0, 2) }) },
    ["etcd: etcd's voters: s1, s2: they were s1, s2, s3"],
  ],
  [
    "a setting that is changed, set for the first time, and unset",
    { view: view({ settings: { ...settings, puppetdbNodeTtlS: 5 } }) },
    { view: view({ settings: { ...settings, voters: 5, puppetdbClients: ["a"] } }) },
    [
      "setting: voters is 5: it was 3",
      'puppetdb: puppetdbClients is ["a"]: it wasn\'t set',
      "puppetdb: puppetdbNodeTtlS is not set: it was 5",
    ],
  ],
  [
    "an order to send queries somewhere",
    {},
    { view: view({ settings: { ...settings, puppetdbUse: { id: "s2", at: "now" } } }) },
    ["puppetdb: queries were ordered to go to s2's PuppetDB"],
  ],
  [
    "puppetserver down, as this edge saw it",
    withBackend("up"),
    withBackend("down", "refused"),
    ["puppetserver: puppetserver s2 is down, was up: refused"],
  ],
  ["nothing of a puppetserver that nobody knows of", withBackend("up"), withBackend("unknown"), []],
  ["nothing of one that is new", here({ edge: edge({ backends: [] }) }), withBackend("up"), []],
  [
    "an edge that is down",
    {},
    here({ edge: edge({ active: false, because: "HAProxy doesn't answer" }) }),
    ["edge: s1's edge is down: HAProxy doesn't answer"],
  ],
  [
    "revocations, by how many there are more",
    here({ ca: ca({}) }),
    here({ ca: ca({ crlNumber: 6, revocations: 12 }) }),
    ["revocation: 5 certificates revoked (CRLs 5 to 6)"],
  ],
  [
    "a CRL that revokes nothing new",
    here({ ca: ca({}) }),
    here({ ca: ca({ crlNumber: 5 }) }),
    ["crl: CRL 5 signed, nothing new is revoked"],
  ],
  [
    "the end of the CA",
    here({ ca: ca({}) }),
    here({ ca: ca({ ejected: { to: "s2", at: "", alone: false, handedOver: false } }) }),
    ["ca: the CA has ended in favour of stock Puppet Server on s2"],
  ],
  [
    "the record out of reach",
    {},
    here({ record: { reachable: false, because: "no quorum", ageMs: 1 } }),
    ["record: s1 can't reach the record: no quorum"],
  ],
  [
    "nothing while nobody has read the record yet",
    {},
    here({ record: { reachable: false, because: "not read yet", ageMs: 1 } }),
    [],
  ],
  [
    "a member that doesn't answer, and one that does again",
    {
      answering: new Map([
        ["s2", true],
        ["s3", false],
      ]),
    },
    {
      answering: new Map([
        ["s2", false],
        ["s3", true],
      ]),
    },
    ["member: s2's daemon doesn't answer", "member: s3's daemon answers again"],
  ],
  [
    "nothing of a member that is asked for the first time",
    {},
    { answering: new Map([["s2", false]]) },
    [],
  ],
  [
    "etcd here: its end, and its lead",
    {},
    here({ etcd: { ...local("s1").etcd, runs: "no", because: "refused" } }),
    ["etcd: s1's etcd doesn't answer, or is no more: refused"],
  ],
  [
    "the lead of etcd",
    {},
    here({ etcd: { ...local("s1").etcd, runs: "leader" } }),
    ["etcd: s1's etcd leads"],
  ],
  [
    "a clock that goes wrong, in steps",
    here({ clock: { offsetMs: 200, others: [] } }),
    here({ clock: { offsetMs: -12_000, others: [] } }),
    ["clock: s1's clock is off: it is to be set: 12 s behind the others'"],
  ],
  [
    "nothing of a clock that varies, nor while nobody can tell",
    here({ clock: { offsetMs: 11_000, others: [] } }),
    here({ clock: { offsetMs: 40_000, others: [] } }),
    [],
  ],
  ["another version", {}, here({ version: "2.0.0" }), ["version: s1 runs 2.0.0: it was 1.0.0"]],
  [
    "a PuppetDB of its own that was accepted",
    { view: view({ members: [...without("s3"), member("s3", { puppetdb: "fills" })] }) },
    {
      view: view({
        members: [...without("s3"), member("s3", { puppetdb: "answers", puppetdbAccepted: "now" })],
      }),
    },
    [
      "puppetdb: s3's PuppetDB in the record: answers, was fills",
      "puppetdb: s3's PuppetDB was accepted with what it has",
    ],
  ],
  [
    "a puppetserver that is taken out for a while",
    {},
    {
      view: view({
        members: [
          ...without("s3"),
          member("s3", {
            backends: [{ name: "puppetserver", port: 8141, jrubies: 4, unfit: "its disk is full" }],
          }),
        ],
      }),
    },
    ["puppetserver: s3/puppetserver gets no requests: its disk is full"],
  ],
  [
    "a drain with who and why, and a pause that ends by itself",
    { view: view({ work: Work.parse({ drains: [], pauses: [PAUSE] }) }) },
    {
      ...here({ wallMs: NOW_MS_OF_STATUS + 3_600_001 }),
      view: view({ work: Work.parse({ drains: [DRAIN], pauses: [PAUSE] }) }),
    },
    [
      'work: s3 is drained until somebody ends it: by ops: "kernel"',
      "work: the pause of chores has ended",
    ],
  ],
  [
    "a drain that is taken back",
    { view: view({ work: Work.parse({ drains: [DRAIN] }) }) },
    {},
    ["work: s3 is drained no more"],
  ],
  [
    "a roll, and what it came to",
    { view: view({ work: Work.parse({ roll: ROLL }) }) },
    {
      view: view({
        work: Work.parse({
          roll: {
            ...ROLL,
            done: [{ id: "s1", at: "x" }],
            end: { how: "halted", at: "x", because: "s2 didn't come back" },
          },
        }),
      }),
    },
    ["work: restarting one puppetserver after another: halted, s1 of 2: s2 didn't come back"],
  ],
  ["nothing while there is no view", {}, { view: undefined }, []],
];
for (const [what, before, after, expected] of CASES) {
  test(`planHistory tells ${what}`, () => {
    const told = tell(before, after).map(({ draft: { kind, what, because } }) =>
      because === undefined || because === "" ? `${kind}: ${what}` : `${kind}: ${what}: ${because}`,
    );
    assert.deepEqual(told, expected);
  });
}

test("planHistory tells nothing at the first look of a member", () => {
  assert.deepEqual(planHistory({}, gatherFacts(sources(), {}), "s1", NOW_MS), []);
});

test("planHistory marks what others see too, and nothing that only this member knows", () => {
  const [down] = tell(withBackend("up"), withBackend("down"));
  assert.deepEqual(down?.draft.seen, { subject: "puppetserver s2", state: "down" });
  const [address] = tell({}, here({ addresses: [] }));
  assert.equal(address?.draft.seen, undefined);
});

test("CRLs that follow each other are told as one burst", () => {
  const at = (crlNumber: number, revocations: number) =>
    here({ ca: ca({ crlNumber, revocations }) });
  const [first] = tell(at(4, 7), at(5, 8));
  const [second] = tell(at(5, 8), at(9, 20));
  assert.ok(first && second?.merge);
  const merged = second.merge(first.draft);
  assert.equal(merged.what, "13 certificates revoked (CRLs 5 to 9)");
  assert.ok((second.settleMs ?? 0) > 0);
});

test("keepFacts keeps what a look couldn't tell, and a count of when its state began", () => {
  const before: Facts = {
    "crl ": { state: "4", count: 7 },
    "puppetserver s2": { state: "up" },
    "member s3": { state: "ready" },
  };
  const now: Facts = { "crl ": { state: "4", count: 9 }, "member s3": { state: "gone" } };
  assert.deepEqual(keepFacts(before, now), {
    "crl ": { state: "4", count: 7 },
    "puppetserver s2": { state: "up" },
  });
});

test("keepFacts is bounded, and forgets first what wasn't seen now", () => {
  const before: Facts = {};
  for (let index = 0; index < 2000; index += 1) before[`puppetserver ${index}`] = { state: "up" };
  const kept = keepFacts(before, { "puppetserver 0": { state: "down" } });
  assert.equal(Object.keys(kept).length, 1000);
  assert.equal(kept["puppetserver 0"]?.state, "down");
});

test("a long setting that ends otherwise is another one", () => {
  const clients = (last: string) => ({
    view: view({
      settings: { ...settings, puppetdbClients: [...Array<string>(99).fill("client"), last] },
    }),
  });
  assert.equal(tell(clients("a"), clients("b")).length, 1);
  assert.equal(tell(clients("a"), clients("a")).length, 0);
});
