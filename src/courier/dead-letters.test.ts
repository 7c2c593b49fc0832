import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { choose } from "./dead-door.ts";
import { createDeadLetters } from "./dead-letters.ts";
import type { SpooledHead } from "./frame.ts";

function head(takenMs: number): SpooledHead {
  const id = randomUUID();
  return { id, takenMs, kind: "report", certname: "a.test", producerMs: 1, query: "q=1" };
}

void test("createDeadLetters lists what is whole, the oldest first, and gives it back byte for byte", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "dead-"));
  t.after(async () => rm(folder, { recursive: true }));
  const dead = createDeadLetters(folder);
  assert.deepEqual(await dead.list(), []);
  const [late, early] = [head(2), head(1)];
  const body = Buffer.from([0, 255, 10]);
  await dead.bury("s1.test", late, body, "400: no");
  await dead.bury("s2.test", early, body, "503: never");
  await dead.bury("s2.test", late, body, "400: no");
  // Half written, damaged, or somebody else's.
  await writeFile(join(folder, "s1.test", `${randomUUID()}.body`), "x");
  await writeFile(join(folder, "s1.test", `${randomUUID()}.json`), "{");
  await writeFile(join(folder, "s1.test", "note.json"), "{}");
  const letters = await dead.list();
  assert.deepEqual(
    letters.map((each) => [each.puppetdb, each.head, each.because, each.bytes]),
    [
      ["s2.test", early, "503: never", 3],
      ["s1.test", late, "400: no", 3],
      ["s2.test", late, "400: no", 3],
    ],
  );
  assert.deepEqual(await dead.body(letters[0]!), body);
  await dead.remove(letters[0]!);
  await dead.remove(letters[0]!);
  assert.equal(await dead.body(letters[0]!), undefined);
  assert.deepEqual([await dead.count("s2.test"), await dead.count("none")], [1, 0]);

  const all = { ids: [], all: true };
  const places = (chosen: typeof letters) => chosen.map(({ puppetdb }) => puppetdb);
  assert.equal(choose(letters, all).length, 3);
  assert.deepEqual(places(choose(letters, { ...all, puppetdb: "s2.test" })), [
    "s2.test",
    "s2.test",
  ]);
  assert.deepEqual(places(choose(letters, { ids: [late.id], all: false })), ["s1.test", "s2.test"]);
  assert.deepEqual(choose(letters, { ids: [randomUUID()], all: false }), []);
});
