import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { silentCourier } from "../cluster/courier-status.ts";
import {
  answer,
  edge,
  judge,
  local,
  NOW_MS,
  row,
  silent,
  three,
} from "../cluster/testing/status.ts";
import { collect } from "../host/process.ts";
import { renderStatus } from "./status.ts";

const COURIER = {
  ...silentCourier(""),
  runs: true,
  puppetdbs: [{ id: "s1", fit: true, because: "", commands: 2, oldestMs: 5000, deadLetters: 0 }],
};
const busyHere = (member: string, busy: number) => row(member, { busy });
const down = row("s3", { state: "down", because: "DOWN L4CON refused" });

const CASES: [string, ReturnType<typeof judge>, RegExp[]][] = [
  [
    "a healthy cluster, with what every edge adds to a puppetserver",
    judge([
      answer("s1", local("s1", { edge: edge({ backends: [busyHere("s1", 1), row("s2")] }) })),
      answer("s2", local("s2", { edge: edge({ backends: [busyHere("s1", 2)], waiting: 5 }) })),
      answer("s3", local("s3", { edge: edge({ backends: [row("s3")] }) })),
    ]),
    [
      /^puppet\.lab\.test: 3 servers, tolerates 1 failure\. Every promise holds\.\n\nMEMBER /,
      /^s1 +server +ready +voter +10\.0\.0\.10 +0 wait +3 of 4 busy +0 waiting +1\.0\.0$/m,
      /^s2 +server +ready +voter +- +5 wait +0 of 4 busy /m,
    ],
  ],
  [
    "a member whose daemon is silent: what others see of its puppetserver stands",
    judge([...three().slice(0, 2), silent("s3")], {
      answering: 2,
      silent: [{ id: "s3", because: "the member doesn't answer" }],
    }),
    [
      /tolerates 0 failures \(2 of 3 etcd members answer\)/,
      /^s3 +server +no answer +\? +\? +\? +0 of 4 busy +\? +1\.0\.0$/m,
      /^! s3 doesn't answer: no answer in time$/m,
      /^! s3's vote in etcd is missing: the member doesn't answer$/m,
    ],
  ],
  [
    "a voter whose etcd is dead: it is no client",
    judge(three("s2", { etcd: { ...local("s2").etcd, runs: "no", because: "refused" } }), {
      answering: 2,
      silent: [{ id: "s2", because: "refused" }],
    }),
    [/^s2 +server +ready +no vote /m, /^! s2's vote in etcd is missing: refused$/m],
  ],
  [
    "a puppetserver that is down, an edge that is down, and replays",
    judge([
      answer("s1", local("s1", { edge: edge({ replays: 2, backends: [row("s1"), down] }) })),
      answer("s2", local("s2", { edge: edge({ active: false, because: "x", backends: [] }) })),
      answer("s3", local("s3", { edge: edge({ replays: 1, backends: [row("s1"), down] }) })),
    ]),
    [
      /^s2 .* down +\? /m,
      /^s3 .* 0 wait +down DOWN L4CON refused +0 waiting/m,
      /^Requests sent on to another puppetserver: 3$/m,
      /^! s3's puppetserver is down: DOWN L4CON refused$/m,
    ],
  ],
  [
    "compilers and other clients of etcd have dashes for what they haven't",
    judge([
      ...three(),
      answer(
        "c1",
        local("c1", {
          role: "compiler",
          edge: undefined,
          ca: undefined,
          etcd: { ...local("c1").etcd, runs: "no", hasLeader: false },
        }),
        { backends: [] },
      ),
    ]),
    [/^c1 +compiler +ready +client +- +- +- +- +1\.0\.0$/m],
  ],
  [
    "PuppetDBs and couriers, where there are any",
    judge([
      answer("s1", local("s1", { courier: COURIER }), { courier: true, puppetdb: "answers" }),
      answer("s2", local("s2", { courier: silentCourier("x") }), { courier: true }),
      answer("s3"),
    ]),
    [
      /^MEMBER .* PUPPETDB +VERSION$/m,
      /^s1 .* fit, 2 wait for 5s +1\.0\.0$/m,
      /^s2 .* no courier +1\.0\.0$/m,
      /^s3 .* - +1\.0\.0$/m,
      /^! s2's courier doesn't run: x$/m,
    ],
  ],
  [
    "no quorum, and a view of unknown age",
    judge(three(), { answering: 1, quorum: false, viewAgeMs: 7_200_000, viewAgeIsMost: true }),
    [
      /tolerates 0 failures \(etcd has no quorum\)\. 1 to look at below\./,
      /^! etcd has no quorum \(1 of 3 members answer\).* at most 2h old\.$/m,
    ],
  ],
];
for (const [what, status, expected] of CASES) {
  test(`renderStatus shows ${what}`, () => {
    for (const pattern of expected) assert.match(renderStatus(status), pattern);
  });
}

test("status --watch goes on after a call that failed", async () => {
  const main = join(import.meta.dirname, "..", "main.ts");
  // There is no daemon here, so every call fails.
  const child = spawn(process.execPath, [main, "status", "--watch"]);
  const said = collect(child.stderr);
  await until("a second try", () => (said().match(/^error /gm)?.length ?? 0) > 1, {
    withinMs: 30_000,
  });
  assert.equal(child.exitCode, null);
  child.kill();
});

test("renderStatus shows a drained member as drained, and who did it, apart from the warnings", () => {
  const until = new Date(NOW_MS + 60_000).toISOString();
  const drain = { id: "s3", by: "ops", at: "2026-11-20T11:59:00Z", reason: "kernel", until };
  const text = renderStatus(judge(three(), {}, { drains: [drain] }));
  assert.match(text, /Every promise holds/);
  assert.match(text, /^s3 +server +drained /m);
  assert.match(text, /^s3 is drained by ops until .*"kernel" Undo: understudy undrain s3$/m);
  const over = { ...drain, until: new Date(NOW_MS).toISOString() };
  assert.match(renderStatus(judge(three(), {}, { drains: [over] })), /^s3 +server +ready /m);
});

test("renderStatus keeps what others say in its line: an error page of HTML, an escape for terminals", () => {
  const page = "it answers 503: <html>\n<head>\u001b[2J\u202e</head>";
  const puppetdbs = [{ ...COURIER.puppetdbs[0]!, fit: false, because: page }];
  const said = local("s1", { courier: { ...COURIER, puppetdbs } });
  const down = edge({ backends: [row("s2", { state: "down", because: "DOWN\nL7" })] });
  const text = renderStatus(
    judge([
      answer("s1", { ...said, edge: down }, { courier: true }),
      answer("s2", local("s2", { edge: down })),
    ]),
  );
  assert.match(text, /^! s1's PuppetDB answers no queries: it answers 503: <html>.*<\/head>$/m);
  assert.match(text, /^s2 .* down DOWN.*L7 /m);
  for (const hidden of ["\u001b", "\u202e", "DOWN\nL7"]) assert.ok(!text.includes(hidden));
});
