import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { decideAutosign, matchAllowlist } from "./autosign.ts";

void test("matchAllowlist reads an allowlist as Puppet Server does", () => {
  const cases: [line: string, certname: string, allowed: boolean][] = [
    ["*", "a.b", true],
    ["a.b", "a.b", true],
    ["A.b", "a.b", false],
    ["*.red", "a.red", true],
    ["*.red", "a.b.red", true],
    ["*.red", "red", true],
    ["*.RED", "a.red", true],
    ["*.red", "red.white", false],
    ["*.b.red", "a.red", false],
    ["*.b.red", "a.b.red", true],
    ["red", "a.red", false],
    ["#a.b", "a.b", false],
    [" a.b", "a.b", false],
    ["a.b ", "a.b", false],
    ["a.b # mine", "a.b", false],
    ["*foo", "a.b", false],
    ["", "", false],
  ];
  for (const [line, certname, allowed] of cases) {
    const text = `# a comment\n\n${line}\r\nother.host\n`;
    assert.equal(matchAllowlist(certname, text).allowed, allowed, `${line} for ${certname}`);
  }
  assert.deepEqual(matchAllowlist("x", "a b\nx#y\n").invalid, ["a b", "x#y"]);
});

void test("decideAutosign signs nothing by a file that is missing, executable or unreadable", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-autosign-"));
  try {
    const file = join(folder, "autosign.conf");
    assert.deepEqual(await decideAutosign(file, "a"), { sign: false, warnings: [] });
    assert.deepEqual(await decideAutosign(true, "a"), { sign: true, warnings: [] });
    assert.deepEqual(await decideAutosign(false, "a"), { sign: false, warnings: [] });
    await writeFile(file, "a\n");
    assert.equal((await decideAutosign(file, "a")).sign, true);
    await chmod(file, 0o755);
    const executable = await decideAutosign(file, "a");
    assert.equal(executable.sign, false);
    assert.match(executable.warnings[0] ?? "", /executable/);
    const directory = await decideAutosign(folder, "a");
    assert.equal(directory.sign, false);
    assert.equal(directory.warnings.length, 1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
