// What the build comes to: small, nothing inline, nothing from elsewhere, and known licences.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { BUNDLED } from "../../packaging/closure.ts";
import { type Dashboard, readDashboard } from "../../src/api/dashboard.ts";
import { buildDashboard } from "../build.ts";

const SCRIPT_BYTES_MAX = 100_000;
let folder = "";
let packages: string[] = [];
let files: Dashboard = new Map();
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-web-"));
  packages = await buildDashboard(folder);
  files = readDashboard(folder) ?? files;
});
after(async () => rm(folder, { recursive: true }));

const named = (ending: string) => [...files].filter(([path]) => path.endsWith(ending));

test("buildDashboard makes a script of less than 100 KB as it is sent", () => {
  const scripts = named(".js");
  assert.ok(scripts.length > 0);
  const bytes = scripts.reduce((sum, [, file]) => sum + (file.zipped ?? file.bytes).length, 0);
  assert.ok(bytes < SCRIPT_BYTES_MAX, `${bytes} bytes`);
});

test("buildDashboard makes a page with nothing inline and nothing from elsewhere", async () => {
  const page = await readFile(join(folder, "index.html"), "utf8");
  const scripts = page.match(/<script[^>]*>[^<]*/g) ?? [];
  assert.equal(scripts.length, 1);
  assert.ok(scripts.every((script) => /src="\/assets\/[^"]+"[^>]*>$/.test(script.trim())));
  assert.doesNotMatch(page, /<style|\sstyle=|\son\w+=|https?:\/\//);
  for (const [path, { bytes }] of named(".css")) {
    assert.doesNotMatch(bytes.toString(), /@import|url\(\s*["']?(?:https?:)?\/\//, path);
  }
});

test("buildDashboard puts in those npm packages whose licences the .deb has", () => {
  assert.deepEqual(packages, [...BUNDLED]);
});
