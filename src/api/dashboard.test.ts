// The dashboard's files on a real port, as browsers and strangers ask for them.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { readDashboard } from "./dashboard.ts";
import { startTestPeople } from "./testing/people.ts";

const SCRIPT = "console.log(1);".repeat(100);
let people: Awaited<ReturnType<typeof startTestPeople>>;
let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-dashboard-"));
  await mkdir(join(folder, "assets"));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>Understudy</title>");
  await writeFile(join(folder, "assets", "main-abc.js"), SCRIPT);
  await writeFile(join(folder, "assets", "main-abc.js.map"), "{}");
  people = await startTestPeople({ dashboard: readDashboard(folder) });
});
after(async () => {
  await people.close();
  await rm(folder, { recursive: true });
});

test("the dashboard's page is everybody's, and lets nothing but its own files run", async () => {
  const said = await people.ask("GET", "/");
  assert.equal(said.status, 200);
  assert.match(said.text, /Understudy/);
  assert.equal(said.headers["content-type"], "text/html; charset=utf-8");
  assert.equal(said.headers["cache-control"], "no-cache");
  const policy = String(said.headers["content-security-policy"]).split("; ");
  for (const part of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
  ]) {
    assert.ok(policy.includes(part), part);
  }
  assert.equal(said.headers["x-content-type-options"], "nosniff");
  const known = await people.ask("GET", "/", {
    headers: { "if-none-match": String(said.headers["etag"]) },
  });
  assert.deepEqual([known.status, known.text], [304, ""]);
});

test("the dashboard's hashed files are kept for ever and sent compressed to whoever takes that", async () => {
  const plain = await people.ask("GET", "/assets/main-abc.js");
  assert.equal(plain.text, SCRIPT);
  assert.equal(plain.headers["content-encoding"], undefined);
  assert.match(String(plain.headers["cache-control"]), /immutable/);
  assert.equal(plain.headers["content-type"], "text/javascript; charset=utf-8");
  const file = readDashboard(folder)?.get("/assets/main-abc.js");
  assert.equal(gunzipSync(file?.zipped ?? Buffer.alloc(0)).toString(), SCRIPT);
  const headers = { "accept-encoding": "gzip, br" };
  const zipped = await people.ask("GET", "/assets/main-abc.js", { headers });
  assert.equal(zipped.headers["content-encoding"], "gzip");
  assert.equal(Number(zipped.headers["content-length"]), file?.zipped?.length);
});

test("the dashboard has its own files alone, by no trick with the path", async () => {
  await writeFile(join(folder, "..", "understudy-secret.js"), "1");
  for (const path of [
    "/../understudy-secret.js",
    "/assets/../../understudy-secret.js",
    "/assets/..%2f..%2funderstudy-secret.js",
    "/assets/main-abc.js.map",
    "/assets/",
    "/index.html",
    "/assets/main-abc.js/",
  ]) {
    assert.equal((await people.ask("GET", path)).status, 401, path);
  }
  await rm(join(folder, "..", "understudy-secret.js"));
  assert.equal((await people.ask("POST", "/")).status, 401);
});

test("the dashboard's files are a stranger's so often only", async () => {
  const agent = people.from("127.0.0.9");
  const answers = await Promise.all(
    Array.from({ length: 260 }, async () => people.ask("GET", "/", { agent })),
  );
  const counts = Map.groupBy(answers, ({ status }) => status);
  assert.deepEqual([counts.get(200)?.length, counts.get(429)?.length], [200, 60]);
});

test("readDashboard has nothing where nothing was built", async () => {
  const empty = await mkdtemp(join(tmpdir(), "understudy-none-"));
  assert.equal(readDashboard(empty), undefined);
  await rm(empty, { recursive: true });
});
