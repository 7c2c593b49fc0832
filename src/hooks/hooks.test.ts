// Real hooks: they hang, leave children, flood, and aren't what they should be.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { until } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { createHooks, type HooksHost, WAITING_MAX } from "./hooks.ts";
import { isForeign, judgeFolder, judgeHook } from "./judge.ts";
import { unitArgv } from "./run.ts";

const SOON = { withinMs: 20_000, everyMs: 20 };
const LONG_MS = 20_000;
const SHORT_MS = 300;
const US = process.getuid?.() ?? 0;

let folder: string;
let hooksFolder: string;
let outcomes: { hook: string; event: string; ok: boolean; because: string; output: string }[];
let dropped: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-hooks-"));
  hooksFolder = join(folder, "hooks.d");
  await mkdir(hooksFolder, { mode: 0o755 });
  outcomes = [];
  dropped = 0;
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function hook(name: string, script: string, mode = 0o755): Promise<string> {
  const path = join(hooksFolder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, mode);
  return path;
}

function hooks(more: Partial<HooksHost> = {}) {
  return createHooks({
    folder: hooksFolder,
    owner: US,
    withinMs: LONG_MS,
    runner: async () => ({ by: "process", owner: undefined }),
    onOutcome: (name, event, { ok, because, output }, lost) => {
      outcomes.push({ hook: name, event, ok, because, output });
      dropped += lost;
    },
    monotonicMs,
    ...more,
  });
}

const event = (name: string, body = {}) => ({
  event: name,
  at: "2026-11-20T12:00:00.000Z",
  body: { event: name, ...body },
});

/** Whether a process is there, not counting one that is dead and only not yet waited for. */
async function isAlive(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid.trim()}/stat`, "utf8").catch(() => "");
  return status !== "" && !/\) [ZX] /.test(status);
}

const FILE = { name: "50-page", kind: "file" as const, uid: 0, mode: 0o755 };
const REFUSED: [string, Partial<Parameters<typeof judgeHook>[0]>, RegExp][] = [
  ["another's", { uid: 33 }, /owned by uid 33/],
  ["what its group may write", { mode: 0o775 }, /may write/],
  ["what everybody may write", { mode: 0o757 }, /may write/],
  ["what can't be executed", { mode: 0o644 }, /execute/],
  ["what only root can execute", { mode: 0o700 }, /execute/],
  ["a link", { kind: "link", mode: 0o777 }, /link/],
  ["a folder", { kind: "folder" }, /no plain file/],
  ["a name with a space", { name: "a b" }, /name/],
];
for (const [what, more, because] of REFUSED) {
  test(`judgeHook doesn't run ${what}, and says why`, () => {
    const verdict = judgeHook({ ...FILE, ...more }, 0);
    assert.match(verdict.runs ? "" : verdict.because, because);
  });
}

test("judgeHook runs root's own, and editors' leftovers are nothing to speak of", () => {
  assert.deepEqual(judgeHook(FILE, 0), { runs: true });
  assert.deepEqual(["a~", ".a", "a.dpkg-old", "README", "page"].filter(isForeign).length, 4);
  assert.match(judgeFolder({ kind: "folder", uid: 0, mode: 0o777 }, 0), /may write/);
});

test("every hook gets each event as JSON, in order, with nothing of ours in its environment", async () => {
  process.env["UNDERSTUDY_TEST_SECRET"] = "s3cret";
  await hook("one", `cat >> ${folder}/got; env >> ${folder}/env`);
  await hook("two", `echo "$UNDERSTUDY_EVENT" >> ${folder}/names`);
  const all = hooks();
  for (const name of ["address-gained", "member-down", "address-lost"]) all.tell(event(name));
  await all.idle();
  const got = (await readFile(join(folder, "got"), "utf8")).trim().split("\n");
  const names = got.map((line) => (JSON.parse(line) as { event: string }).event);
  assert.deepEqual(names, ["address-gained", "member-down", "address-lost"]);
  assert.equal((await readFile(join(folder, "names"), "utf8")).trim(), names.join("\n"));
  const env = await readFile(join(folder, "env"), "utf8");
  assert.doesNotMatch(env, /s3cret|NOTIFY_SOCKET|HOME=/);
  assert.ok(outcomes.every(({ ok }) => ok));
});

test("a hook that hangs is killed with all that it has started, and holds up no other", async () => {
  await hook("hangs", `trap '' TERM; sleep 600 & echo $! > ${folder}/child; wait; sleep 600`);
  await hook("works", "exit 0");
  const all = hooks({ withinMs: SHORT_MS });
  all.tell(event("edge-down"));
  await until("the other", () => outcomes.some((each) => each.hook === "works"), SOON);
  await all.idle();
  const hung = outcomes.find((each) => each.hook === "hangs");
  assert.match(hung?.because ?? "", /killed after/);
  const child = await readFile(join(folder, "child"), "utf8");
  await until("its child's end", async () => !(await isAlive(child)), SOON);
});

test("what a hook leaves running ends with it", async () => {
  await hook("leaves", `sleep 600 & echo $! > ${folder}/child`);
  const all = hooks();
  all.tell(event("edge-down"));
  await all.idle();
  assert.equal(outcomes[0]?.ok, true);
  const child = await readFile(join(folder, "child"), "utf8");
  await until("its child's end", async () => !(await isAlive(child)), SOON);
});

test("a hook that floods its output is read, and only the end is kept", async () => {
  await hook(
    "floods",
    "head -c 20000000 /dev/zero | tr '\\0' 'x'; printf 'the \\033[31mend'; exit 3",
  );
  const all = hooks();
  all.tell(event("edge-down"));
  await all.idle();
  const [outcome] = outcomes;
  const output = outcome?.output ?? "";
  assert.equal(outcome?.because, "exit code 3");
  assert.match(output, /the \\u\{1b\}\[31mend$/);
  assert.ok(output.length < 300);
});

test("what isn't fit to be run isn't, and status is told of it", async () => {
  await hook("open", `touch ${folder}/ran`, 0o777);
  await hook("plain", `touch ${folder}/ran`, 0o644);
  await symlink(await hook("good", "exit 0"), join(hooksFolder, "link"));
  const all = hooks();
  all.tell(event("edge-down"));
  await all.idle();
  assert.deepEqual(
    outcomes.map((each) => each.hook),
    ["good"],
  );
  assert.deepEqual(
    all.problems().map(({ kind, subject }) => [kind, subject]),
    [
      ["hooks-refused", "link"],
      ["hooks-refused", "open"],
      ["hooks-refused", "plain"],
    ],
  );
  assert.deepEqual(
    (await all.test(event("edge-down"))).map(({ name, ok, because }) => [
      name,
      ok,
      because.startsWith("it isn't run: "),
    ]),
    [
      ["good", true, false],
      ["link", false, true],
      ["open", false, true],
      ["plain", false, true],
    ],
  );
  await chmod(hooksFolder, 0o777);
  assert.ok(
    (await all.list()).every(({ runs }) => !runs),
    "nor anything in an open folder",
  );
});

test("a slow hook's oldest events are dropped and counted", async () => {
  await hook("slow", `until [ -e ${folder}/go ]; do sleep 0.05; done; cat >> ${folder}/got`);
  const all = hooks();
  for (let number = 0; number < WAITING_MAX + 11; number += 1) all.tell(event("x", { number }));
  await until("all are told", async () => (await all.list())[0]?.dropped === 10, SOON);
  await writeFile(join(folder, "go"), "");
  await all.idle();
  const got = (await readFile(join(folder, "got"), "utf8")).trim().split("\n");
  assert.equal(got.length, WAITING_MAX + 1);
  assert.equal((JSON.parse(got[1] ?? "") as { number: number }).number, 11);
  assert.equal(dropped, 10);
});

test("files that come and go beside a hook take nothing from it", async () => {
  await hook("good", "exit 0");
  const all = hooks();
  const end = new AbortController();
  const churn = async (name: string) => {
    while (!end.signal.aborted) {
      await writeFile(join(hooksFolder, name), "");
      await rm(join(hooksFolder, name));
    }
  };
  const churning = ["a", "b", "c"].map(churn);
  let seen = 0;
  for (let looks = 0; looks < 500; looks += 1) {
    if ((await all.list()).some(({ name }) => name === "good")) seen += 1;
  }
  end.abort();
  await Promise.all(churning);
  assert.equal(seen, 500);
});

test("a hook whose file is replaced while it runs isn't run twice at once", async () => {
  const path = await hook(
    "slow",
    `touch ${folder}/runs; until [ -e ${folder}/go ]; do sleep 0.05; done`,
  );
  const all = hooks();
  all.tell(event("edge-down"));
  await until("it runs", () => existsSync(join(folder, "runs")), SOON);
  await rename(path, join(folder, "away"));
  assert.deepEqual(await all.list(), []);
  await rename(join(folder, "away"), path);
  all.tell(event("edge-up"));
  await until("the second waits", async () => (await all.list())[0]?.waiting === 1, SOON);
  await writeFile(join(folder, "go"), "");
  await all.idle();
  assert.deepEqual(
    outcomes.map((each) => [each.event, each.ok]),
    [
      ["edge-down", true],
      ["edge-up", true],
    ],
  );
});

test("a hook that can't be started says so, and no folder is no hooks", async () => {
  await writeFile(join(hooksFolder, "bad"), "#!/no/such/interpreter\n");
  await chmod(join(hooksFolder, "bad"), 0o755);
  const all = hooks();
  const [tested] = await all.test(event("edge-down"));
  assert.match(tested?.because ?? "", /can't be started/);
  await rm(hooksFolder, { recursive: true });
  assert.deepEqual(await all.list(), []);
});

test("unitArgv gives systemd a user, a limit and nothing to leave behind", () => {
  const run = { path: "/h/x", event: "edge-down", input: "", withinMs: 30_000 };
  const argv = unitArgv(run, "understudy-hooks");
  for (const word of ["User=understudy-hooks", "RuntimeMaxSec=30", "KillMode=control-group"]) {
    assert.ok(argv.includes(`--property=${word}`), word);
  }
  assert.deepEqual(argv.slice(-2), ["--", "/h/x"]);
});
