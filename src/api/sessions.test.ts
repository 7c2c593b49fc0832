import assert from "node:assert/strict";
import { test } from "node:test";
import {
  COOKIE,
  createSessions,
  foreignBecause,
  IDLE_MS,
  readCookie,
  renderCookie,
  WHOLE_MS,
} from "./sessions.ts";

test("createSessions finds a session by its secret alone, until it was idle too long", () => {
  const sessions = createSessions();
  const { secret, session } = sessions.open("ab", 0);
  assert.equal(sessions.find(secret, IDLE_MS - 1), session);
  assert.equal(sessions.find(secret, 2 * IDLE_MS - 2), session, "a request keeps it");
  for (const wrong of ["", "x", `${secret}x`, secret.slice(1), session.csrf]) {
    assert.equal(sessions.find(wrong, IDLE_MS), undefined, wrong);
  }
  assert.equal(sessions.find(secret, 3 * IDLE_MS), undefined);
  assert.equal(session.closed, true);
});

test("createSessions ends a session after its whole time, however it is used", () => {
  const sessions = createSessions();
  const { secret } = sessions.open("ab", 0);
  for (let atMs = 0; atMs < WHOLE_MS; atMs += IDLE_MS / 2) {
    assert.ok(sessions.find(secret, atMs), String(atMs));
  }
  assert.equal(sessions.find(secret, WHOLE_MS), undefined);
});

test("createSessions keeps a bounded number: of one token 20, of all 500; the longest unused go", () => {
  const sessions = createSessions();
  const first = sessions.open("ab", 0);
  const second = sessions.open("ab", 0);
  assert.ok(sessions.find(first.secret, 1));
  for (let n = 0; n < 19; n++) sessions.open("ab", 2);
  assert.equal(sessions.size(), 20);
  assert.equal(second.session.closed, true);
  assert.ok(sessions.find(first.secret, 3));
  for (let n = 0; n < 600; n++) sessions.open(`t${n}`, 4);
  assert.equal(sessions.size(), 500);
});

test("createSessions: one that was closed is nobody's", () => {
  const sessions = createSessions();
  const { secret, session } = sessions.open("ab", 0);
  sessions.close(session);
  assert.equal(sessions.find(secret, 0), undefined);
  assert.equal(session.closed, true);
});

test("readCookie takes our cookie out of others", () => {
  assert.equal(readCookie(renderCookie("abc").split(";")[0]), "abc");
  assert.equal(readCookie(`a=b; ${COOKIE}=abc; c=d`), "abc");
  for (const none of [undefined, "", "a=b", `x${COOKIE}=abc`, "__Host-understudyx=abc"]) {
    assert.equal(readCookie(none), undefined, none);
  }
});

test("foreignBecause lets our own page alone change something", () => {
  const csrf = "c".repeat(43);
  for (const [method, site, shown, ours] of [
    ["GET", "same-origin", undefined, true],
    ["GET", "none", undefined, true],
    ["GET", undefined, undefined, true],
    ["GET", "cross-site", undefined, false],
    ["GET", "same-site", undefined, false],
    ["POST", "same-origin", csrf, true],
    ["POST", undefined, csrf, true],
    ["POST", "same-origin", undefined, false],
    ["POST", "same-origin", "", false],
    ["POST", "same-origin", `${csrf}c`, false],
    ["POST", "cross-site", csrf, false],
    ["DELETE", "same-site", csrf, false],
    ["DELETE", undefined, undefined, false],
  ] as const) {
    const because = foreignBecause({ method, site, shown }, csrf);
    assert.equal(because === "", ours, `${method} ${site} ${shown}: ${because}`);
    assert.ok(!because.includes(csrf));
  }
});
