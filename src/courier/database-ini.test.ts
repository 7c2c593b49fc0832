import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { editNodeTtl, nodeTtlIn, revertNodeTtl } from "./database-ini.ts";

const PLAIN = "# ours\n[database]\nsubname = //db/puppetdb\npassword = a = b\n";

void test("editNodeTtl has nodes never expire, in the file that says it or has the section", () => {
  const cases: [string[], number, string][] = [
    [[PLAIN], 0, PLAIN.replace("[database]\n", "[database]\nnode-ttl = 0s\n")],
    [["[database]\nnode-ttl: 14d\n"], 0, "[database]\nnode-ttl = 0s\n"],
    [["[database]\n node-ttl = 0s\n"], 0, "[database]\n node-ttl = 0s\n"],
    [
      ["[jetty]\nnode-ttl = 1d\n", PLAIN, "[database]\nnode-ttl=9d"],
      2,
      "[database]\nnode-ttl = 0s",
    ],
    [
      ["[database]\n# node-ttl = 7d\n[x]\ny = 1"],
      0,
      "[database]\nnode-ttl = 0s\n# node-ttl = 7d\n[x]\ny = 1",
    ],
  ];
  for (const [texts, at, text] of cases) {
    const files = texts.map((each, index) => ({ path: `${index}.ini`, text: each }));
    const edited = editNodeTtl(files, "/conf.d");
    assert.deepEqual(edited, { path: `${at}.ini`, text });
    const again = files.map((each) => (each.path === edited.path ? edited : each));
    assert.deepEqual(editNodeTtl(again, "/conf.d"), edited);
    const original = texts[at] ?? "";
    assert.deepEqual(
      nodeTtlIn([{ path: "", text: revertNodeTtl(text, original) }]),
      nodeTtlIn([{ path: "", text: original }]),
    );
  }
  const unknown = (error: unknown) => isFault(error, "puppetdb.config-unknown");
  assert.throws(() => editNodeTtl([{ path: "a.ini", text: "[databases]\n" }], "/conf.d"), unknown);
});

void test("revertNodeTtl keeps what was changed since", () => {
  const ours = editNodeTtl([{ path: "a.ini", text: PLAIN }], "/").text;
  assert.equal(revertNodeTtl(ours, PLAIN), PLAIN);
  const changed = ours.replace("a = b", "secret");
  assert.equal(revertNodeTtl(changed, PLAIN), PLAIN.replace("a = b", "secret"));
  const own = PLAIN.replace("[database]\n", "[database]\nnode-ttl = 2d\n");
  assert.equal(revertNodeTtl(changed, own), own.replace("a = b", "secret"));
});

void test("nodeTtlIn knows PuppetDB's default, never, and each unit", () => {
  const ttl = (line: string) => nodeTtlIn([{ path: "", text: `[database]\n${line}\n` }]);
  assert.equal(ttl(""), 7 * 86_400);
  assert.equal(ttl("node-ttl = 0s"), 0);
  assert.equal(ttl("node-ttl = 36h"), 36 * 3600);
  assert.equal(ttl("node-ttl = soon"), 7 * 86_400);
});
