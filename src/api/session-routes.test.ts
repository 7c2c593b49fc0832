// Signing in to the dashboard as browsers do, and as other sites would have them do it.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { SessionOpened } from "./session-routes.ts";
import { COOKIE, CSRF_HEADER, IDLE_MS, WHOLE_MS } from "./sessions.ts";
import { type Answer, NOW_MS, startTestPeople } from "./testing/people.ts";

const SIGN = { body: { names: ["web.test"] } };
let people: Awaited<ReturnType<typeof startTestPeople>>;
before(async () => {
  people = await startTestPeople();
});
after(async () => people.close());
beforeEach(() => {
  people.clock.wallMs = NOW_MS;
  people.clock.monotonicMs += 3_600_000;
  people.lines.length = 0;
  people.calls.length = 0;
});

const codeOf = ({ text }: { text: string }) =>
  (JSON.parse(text) as { error?: { code: string } }).error?.code;

function cookieOf({ headers }: Answer): string {
  return headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
}

async function signIn(token: string) {
  const said = await people.ask("POST", "/session", { token });
  assert.equal(said.status, 200, said.text);
  const shown = JSON.parse(said.text) as SessionOpened;
  const cookie = cookieOf(said);
  const ours = { cookie, [CSRF_HEADER]: shown.csrf, "sec-fetch-site": "same-origin" };
  return { said, shown, cookie, ours };
}

test("POST /session gives a cookie that no script reads and no other site sends, without the token in it", async () => {
  const { tokens, lines } = people;
  const { said, shown, cookie, ours } = await signIn(tokens.viewer);
  assert.match(
    String(said.headers["set-cookie"]),
    /^__Host-understudy=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  );
  const until = new Date(NOW_MS + 86_400_000).toISOString();
  assert.deepEqual(
    { ...shown, csrf: "" },
    { name: "see", role: "viewer", expiresAt: until, csrf: "" },
  );
  assert.ok(!said.text.includes(cookie.slice(COOKIE.length + 1)));
  const again = await people.ask("GET", "/session", { headers: ours });
  const { csrf: _, ...rest } = shown;
  assert.deepEqual(JSON.parse(again.text), rest);
  assert.equal((await people.ask("GET", "/v1/status", { headers: ours })).status, 200);
  const audit = lines.filter((line) => line.includes("POST /session"));
  assert.equal(audit.length, 1);
  assert.ok(!lines.some((line) => line.includes(shown.csrf) || line.includes(cookie)));
});

test("POST /session with a wrong token gives no cookie, and is audited", async () => {
  const said = await people.ask("POST", "/session", { token: `${people.tokens.admin}x` });
  assert.deepEqual([said.status, codeOf(said)], [401, "access.refused"]);
  assert.equal(said.headers["set-cookie"], undefined);
  assert.ok(people.lines.some((line) => line.includes('"what":"POST /session"')));
});

test("a session may what its token may, and no more", async () => {
  const { ask, tokens, calls } = people;
  const viewer = await signIn(tokens.viewer);
  const refused = await ask("POST", "/v1/ca/sign", { ...SIGN, headers: viewer.ours });
  assert.deepEqual([refused.status, codeOf(refused)], [403, "access.role"]);
  const operator = await signIn(tokens.operator);
  assert.equal((await ask("POST", "/v1/ca/sign", { ...SIGN, headers: operator.ours })).status, 200);
  const admins = await ask("POST", "/v1/ca/revoke", { ...SIGN, headers: operator.ours });
  assert.deepEqual([admins.status, codeOf(admins)], [403, "access.role"]);
  assert.deepEqual(calls, ["sign web.test"]);
});

test("a cookie alone changes nothing: other sites' requests are refused, whatever they send", async () => {
  const { ask, tokens, calls } = people;
  const { cookie, ours, shown } = await signIn(tokens.admin);
  const other = await signIn(tokens.admin);
  const csrf = { [CSRF_HEADER]: shown.csrf };
  for (const headers of [
    { cookie },
    { cookie, origin: "https://evil.test" },
    { cookie, "sec-fetch-site": "cross-site" },
    { cookie, "sec-fetch-site": "same-site", ...csrf },
    { cookie, "sec-fetch-site": "cross-site", ...csrf },
    { cookie, "sec-fetch-site": "same-origin" },
    { cookie, [CSRF_HEADER]: "" },
    { cookie, [CSRF_HEADER]: other.shown.csrf },
    { cookie, "content-type": "text/plain", "sec-fetch-site": "cross-site" },
  ] as Record<string, string>[]) {
    people.clock.monotonicMs += 1000;
    const what = JSON.stringify(headers);
    for (const path of ["/v1/ca/revoke", "/v1/drains", "/session"]) {
      const method = path === "/session" ? "DELETE" : "POST";
      const said = await ask(method, path, { ...(method === "POST" ? SIGN : {}), headers });
      assert.deepEqual([said.status, codeOf(said)], [403, "access.cross-site"], `${path} ${what}`);
      assert.equal(said.headers["access-control-allow-origin"], undefined);
      assert.ok(!said.text.includes(shown.csrf));
    }
  }
  assert.deepEqual(calls, []);
  const done = await ask("POST", "/v1/ca/revoke", { ...SIGN, headers: ours });
  assert.equal(done.status, 200, "the session itself still may");
});

test("who has the cookie alone is never told what a change must show: cookies know no ports", async () => {
  const { ask, tokens, calls } = people;
  const { cookie, shown } = await signIn(tokens.admin);
  // What answers on another port of this host gets the cookie from a browser, and is none itself.
  for (const path of ["/session", "/v1/local", "/v1/settings", "/"]) {
    const said = await ask("GET", path, { headers: { cookie } });
    assert.ok(!said.text.includes(shown.csrf), path);
    assert.ok(!JSON.stringify(said.headers).includes(shown.csrf), path);
  }
  const opened = await ask("POST", "/session", { headers: { cookie } });
  assert.deepEqual([opened.status, codeOf(opened)], [403, "access.cross-site"]);
  assert.deepEqual(calls, []);
});

test("another site's page reads nothing with the cookie, and no preflight is granted", async () => {
  const { cookie } = await signIn(people.tokens.admin);
  for (const path of ["/v1/status", "/session", "/v1/events"]) {
    const headers = { cookie, "sec-fetch-site": "cross-site" };
    const said = await people.ask("GET", path, { headers });
    assert.deepEqual([said.status, codeOf(said)], [403, "access.cross-site"], path);
  }
  const asks = { origin: "https://evil.test", "access-control-request-method": "POST" };
  const preflight = await people.ask("OPTIONS", "/v1/ca/revoke", { headers: asks });
  assert.notEqual(preflight.status, 200);
  assert.equal(preflight.headers["access-control-allow-origin"], undefined);
});

test("a session ends with its token: revoked, expired or of another role", async () => {
  const { ask, list, addToken, clock } = people;
  const gone = await signIn(addToken("gone", "viewer"));
  const short = await signIn(addToken("short", "viewer", 60_000));
  const asks = async ({ ours }: { ours: Record<string, string> }) =>
    ask("GET", "/v1/local", { headers: ours });
  assert.equal((await asks(gone)).status, 200);
  list.tokens = list.tokens.filter(({ name }) => name !== "gone");
  assert.equal((await asks(gone)).status, 401);
  clock.wallMs += 60_000;
  const ended = await asks(short);
  assert.deepEqual([ended.status, codeOf(ended)], [401, "access.expired"]);
  // A new token of the same name is another one.
  clock.wallMs = NOW_MS;
  addToken("gone", "admin");
  assert.equal((await asks(gone)).status, 401);
});

test("a session ends by signing out, by idling, and after its whole time", async () => {
  const { ask, tokens, clock } = people;
  const out = await signIn(tokens.viewer);
  const said = await ask("DELETE", "/session", { headers: out.ours });
  assert.equal(said.status, 200);
  assert.match(String(said.headers["set-cookie"]), /^__Host-understudy=; Max-Age=0; /);
  assert.equal((await ask("GET", "/v1/local", { headers: out.ours })).status, 401);

  const idle = await signIn(tokens.viewer);
  clock.monotonicMs += IDLE_MS;
  assert.equal((await ask("GET", "/v1/local", { headers: idle.ours })).status, 401);

  const busy = await signIn(tokens.viewer);
  const endMs = clock.monotonicMs + WHOLE_MS;
  for (; clock.monotonicMs < endMs; clock.monotonicMs += IDLE_MS / 2) {
    assert.equal((await ask("GET", "/v1/local", { headers: busy.ours })).status, 200);
  }
  assert.equal((await ask("GET", "/v1/local", { headers: busy.ours })).status, 401);
});

test("a token in the request counts before a cookie, and strange cookies open nothing", async () => {
  const { ask, tokens } = people;
  const { ours } = await signIn(tokens.viewer);
  const asked = { token: tokens.admin, headers: { cookie: ours.cookie ?? "" } };
  assert.equal((await ask("POST", "/v1/ca/revoke", { ...SIGN, ...asked })).status, 200);
  for (const cookie of [
    `${COOKIE}=`,
    `${COOKIE}=${"a".repeat(43)}`,
    `${COOKIE}=${tokens.admin}`,
    `other=${ours.cookie?.split("=")[1] ?? ""}`,
    "a=b; ".repeat(500),
  ]) {
    const said = await ask("GET", "/v1/local", { headers: { cookie } });
    assert.equal(said.status, 401, cookie);
  }
});
