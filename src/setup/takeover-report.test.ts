import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Survey } from "../ca/import.ts";
import { keepSurvey, renderSurvey } from "./takeover-report.ts";

const ORDERLY: Survey = { signed: 812, requests: 3, revoked: 40, next: 900, oddities: [] };
const ODD: Survey = {
  ...ORDERLY,
  oddities: [
    { kind: "foreign", count: 5, what: ["a", "b", "c", "d", "e"], meaning: "files", todo: "Look." },
  ],
};

test("renderSurvey says what there is, and what is odd with what to do", () => {
  const has = "/ca has 812 signed, 3 waiting, 40 revoked";
  assert.deepEqual(renderSurvey("/ca", ORDERLY), [`${has}; nothing is odd there`]);
  assert.deepEqual(renderSurvey("/ca", ODD), [
    `${has}. Odd there, but no obstacle:`,
    "  5 files: a, b, c, …",
    "    Look.",
  ]);
});

test("keepSurvey keeps all of it, and says so when it can't", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-report-"));
  const path = join(folder, "report.json");
  assert.equal(await keepSurvey(path, "/ca", ODD), `all of it: ${path}`);
  const { at, ...kept } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  assert.deepEqual(kept, { cadir: "/ca", ...ODD });
  assert.ok(Date.parse(String(at)) > 0);
  await rm(folder, { recursive: true });
  assert.match(await keepSurvey(path, "/ca", ODD), /^the report isn't kept: ENOENT/);
});
