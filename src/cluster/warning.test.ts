import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { answer, edge, judge, local, silent, three } from "./testing/status.ts";
import { ClusterStatus, LocalStatus } from "./status.ts";
import { Warning, WARNING_KINDS, warning } from "./warning.ts";

const keyOf = ({ kind, subject = "" }: Warning) => `${kind} ${subject}`.trim();

test("judgeStatus gives every warning its kind and of what it is, in the order of the texts", () => {
  const members = [
    answer("s1"),
    answer("s2", local("s2", { edge: edge({ active: false, because: "stopped" }) })),
    silent("s3"),
  ];
  const { warnings, problems } = judge(members, {
    answering: 2,
    silent: [{ id: "s3", because: "the member doesn't answer" }],
  });
  assert.deepEqual(
    problems.map(({ text }) => text),
    warnings,
  );
  assert.deepEqual(problems.map(keyOf), [
    "etcd-vote-missing s3",
    "edge-down s2",
    "member-silent s3",
  ]);
  assert.ok(problems.every(({ severity }) => severity === "critical"));
});

test("judgeStatus says of a join that isn't through how to end it, not that a daemon is dead", () => {
  const joining = { ...silent("s4").member, phase: "joining" as const };
  const { problems } = judge([...three(), { ...silent("s4"), member: joining }]);
  assert.deepEqual(problems.map(keyOf), ["member-setup s4"]);
  assert.match(problems[0]?.text ?? "", /run its join again.*understudy member remove s4/);
});

test("judgeStatus takes what a member alone knows with its kind, and of an older one its text", () => {
  const own = warning("member-troubled", "edge", '"edge" keeps failing: no');
  const [newer, older] = [
    three("s2", { warnings: [own.text], problems: [own] }),
    three("s2", { warnings: [own.text] }),
  ].map((members) => judge(members).problems);
  assert.deepEqual(newer?.map(keyOf), ["member-troubled s2 edge"]);
  assert.deepEqual(older?.map(keyOf), ["member-troubled s2"]);
  assert.equal(newer?.[0]?.text, older?.[0]?.text);
});

test("a status of an older or a newer version is read all the same", () => {
  const { problems: _, ...older } = judge(three());
  assert.deepEqual(ClusterStatus.parse(older).problems, []);
  const said = { ...local("s1"), problems: [{ kind: "new-kind", severity: "fatal", text: "x" }] };
  assert.deepEqual(LocalStatus.parse(said).problems, [
    { kind: "new-kind", severity: "warning", text: "x" },
  ]);
});

test("docs/alerts.md lists exactly the kinds of warnings, with how bad each is", () => {
  const book = readFileSync(join(import.meta.dirname, "../../docs/alerts.md"), "utf8");
  const listed = [...book.matchAll(/^\| `([a-z]+-[a-z-]+)` \| (\w+) \|/gm)].map(
    ([, kind, severity]) => [kind, severity],
  );
  assert.deepEqual(listed, Object.entries(WARNING_KINDS));
});
