import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { run } from "../src/host/process.ts";
import { renderChangelog, renderControl, renderCopyright, renderMd5sums } from "./control.ts";

const FACTS = {
  version: "1.2.3~rc1",
  architecture: "amd64",
  description: "High availability for Puppet",
  installedKib: 127_000,
};

test("renderControl gives what dpkg-deb packs and reads back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-control-"));
  try {
    await mkdir(join(folder, "root", "DEBIAN"), { recursive: true });
    await writeFile(join(folder, "root", "DEBIAN", "control"), renderControl(FACTS));
    const deb = join(folder, "out.deb");
    await run(["dpkg-deb", "--root-owner-group", "--build", join(folder, "root"), deb]);
    const field = async (name: string) => (await run(["dpkg-deb", "-f", deb, name])).trim();
    assert.equal(await field("Package"), "understudy");
    assert.equal(await field("Version"), FACTS.version);
    assert.equal(await field("Installed-Size"), "127000");
    assert.match(await field("Depends"), /\bhaproxy \(>= 2\.6\)/);
    assert.match(await field("Description"), /^High availability for Puppet\n/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("renderControl does not pull in puppetserver, whose packaging is the administrator's choice", () => {
  const depends = /^Depends: (.*)$/m.exec(renderControl(FACTS))?.[1] ?? "";
  assert.doesNotMatch(depends, /puppet/);
});

test("renderMd5sums sorts by path, so that equal content gives equal bytes", () => {
  const sum = fc.tuple(fc.stringMatching(/^[a-z/]{1,9}$/), fc.stringMatching(/^[0-9a-f]{32}$/));
  fc.assert(
    fc.property(fc.uniqueArray(sum, { selector: ([path]) => path }), (sums) => {
      assert.equal(renderMd5sums(sums), renderMd5sums([...sums].reverse()));
      assert.equal(renderMd5sums(sums).split("\n").length, sums.length + 1);
    }),
  );
});

test("renderChangelog dates its entry by the commit, not by the clock", () => {
  const text = renderChangelog("1.2.3", 1_700_000_000);
  assert.match(text, /^understudy \(1\.2\.3\) /);
  assert.match(text, / {2}Tue, 14 Nov 2023 22:13:20 \+0000$/m);
});

test("renderCopyright gives each npm package its holder and text, blank lines as Debian wants them", () => {
  const one = { path: "node_modules/a", name: "a", version: "1.0.0", license: "MIT" };
  const text = "MIT License\n\nCopyright (c) 2020 Ann Author\n\nPermission is hereby …\n";
  const rendered = renderCopyright("v24.0.0", [
    { one, text },
    { one: { ...one, name: "b", path: "node_modules/b" }, text: undefined },
  ]);
  assert.match(rendered, /Files: usr\/lib\/understudy\/node_modules\/a\/\*\nCopyright: 2020 Ann/);
  assert.match(rendered, /\n MIT License\n \.\n Copyright/);
  assert.match(rendered, /Copyright: authors of b\nLicense: b-MIT\n MIT\n/);
});
