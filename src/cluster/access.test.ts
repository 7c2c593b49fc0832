import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import {
  ACCESS_ROLES,
  ACCESS_TOKENS_MAX,
  accessExpiries,
  AccessList,
  type AccessRole,
  decideSignIn,
  makeAccessToken,
  mayDo,
  withAccessToken,
  withoutAccessToken,
} from "./access.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const HOUR_MS = 3_600_000;

function make(name: string, role: AccessRole = "viewer", validMs = HOUR_MS) {
  return makeAccessToken({ name, role, validMs, createdBy: "s1", nowMs: NOW_MS });
}

const codeOf = (list: AccessList, header: string | undefined, nowMs = NOW_MS) => {
  const said = decideSignIn(list, header, nowMs);
  return said.ok ? `${said.name} ${said.role}` : said.code;
};

test("decideSignIn lets in who has a token, until it ends, and nobody else", () => {
  const [ops, see] = [make("ops", "operator"), make("see")];
  const list = { tokens: [ops.token, see.token] };
  const [prefix = "", id = "", secret = ""] = ops.text.split(".");
  const [, otherId = "", otherSecret = ""] = see.text.split(".");
  for (const [header, expected] of [
    [`Bearer ${ops.text}`, "ops operator"],
    [`bearer  ${see.text} `, "see viewer"],
    [undefined, "access.required"],
    ["", "access.refused"],
    ["Bearer ", "access.refused"],
    [ops.text, "access.refused"],
    [`Basic ${ops.text}`, "access.refused"],
    [`Bearer ${ops.text} ${see.text}`, "access.refused"],
    [`Bearer ${prefix}.${id}.${otherSecret}`, "access.refused"],
    [`Bearer ${prefix}.${otherId}.${secret}`, "access.refused"],
    [`Bearer ${prefix}.000000000000.${secret}`, "access.refused"],
    [`Bearer U1.${id}.${secret}`, "access.refused"],
    [`Bearer ${prefix}.${id}.${ops.token.secretHash}`, "access.refused"],
    [`Bearer ${"x".repeat(5000)}`, "access.refused"],
  ] as const) {
    assert.equal(codeOf(list, header), expected, String(header));
  }
  assert.equal(codeOf(list, `Bearer ${ops.text}`, NOW_MS + HOUR_MS - 1), "ops operator");
  assert.equal(codeOf(list, `Bearer ${ops.text}`, NOW_MS + HOUR_MS), "access.expired");
  assert.equal(codeOf({ tokens: [] }, `Bearer ${ops.text}`), "access.refused");
});

test("decideSignIn refuses a token of which one letter is another one", () => {
  const { text, token } = make("ops");
  const list = { tokens: [token] };
  const letters = fc.constantFrom("a", "A", "0", "_", "-", "Z", ".");
  fc.assert(
    fc.property(fc.nat(text.length - 1), letters, (at, letter) => {
      fc.pre(text[at] !== letter);
      const wrong = text.slice(0, at) + letter + text.slice(at + 1);
      assert.equal(codeOf(list, `Bearer ${wrong}`), "access.refused");
    }),
  );
});

test("decideSignIn refuses a role that only a newer version knows, and the list keeps it whole", () => {
  const { text, token } = make("auditor");
  const newer = { ...token, role: "auditor", networks: ["10.0.0.0/8"] };
  const list = AccessList.parse(JSON.parse(JSON.stringify({ tokens: [newer] })));
  assert.equal(codeOf(list, `Bearer ${text}`), "access.refused");
  assert.deepEqual(withAccessToken(list, make("b").token, NOW_MS).tokens[0], newer);
});

test("mayDo lets a higher role do what a lower one may, and not the other way round", () => {
  const may = ACCESS_ROLES.map((role) => ACCESS_ROLES.filter((needed) => mayDo(role, needed)));
  assert.deepEqual(may, [["viewer"], ["viewer", "operator"], ["viewer", "operator", "admin"]]);
});

test("withAccessToken refuses a second token of a name, unless the first has ended", () => {
  const list = withAccessToken({ tokens: [] }, make("a").token, NOW_MS);
  const again = make("a").token;
  assert.throws(
    () => withAccessToken(list, again, NOW_MS),
    (error) => isFault(error, "access.taken"),
  );
  assert.deepEqual(withAccessToken(list, again, NOW_MS + HOUR_MS).tokens, [again]);
});

test("withAccessToken is bounded: where there is no room, tokens that have ended make some", () => {
  const names = Array.from({ length: ACCESS_TOKENS_MAX }, (_, index) => `n${index}`);
  const full = { tokens: names.map((name) => make(name).token) };
  const more = make("more").token;
  assert.throws(
    () => withAccessToken(full, more, NOW_MS),
    (error) => isFault(error, "access.too-many"),
  );
  assert.deepEqual(withAccessToken(full, more, NOW_MS + HOUR_MS).tokens, [more]);
});

test("withoutAccessToken ends one token, and says when there is none", () => {
  const [a, b] = [make("a").token, make("b").token];
  assert.deepEqual(withoutAccessToken({ tokens: [a, b] }, "a"), { tokens: [b] });
  assert.throws(
    () => withoutAccessToken({ tokens: [b] }, "a"),
    (error) => isFault(error, "access.not-found"),
  );
});

test("accessExpiries tells of tokens that last, until they have ended", () => {
  const day = 24 * HOUR_MS;
  const list = {
    tokens: [
      make("grafana", "viewer", 90 * day).token,
      make("month", "viewer", 30 * day).token,
      make("today", "admin", 12 * HOUR_MS).token,
      { ...make("odd").token, createdAt: "once" },
    ],
  };
  const ends = (nowMs: number) => accessExpiries(list, nowMs).map(({ what, to }) => [what, to]);
  const grafana = ["grafana", "2027-02-18T12:00:00.000Z"];
  assert.deepEqual(ends(NOW_MS), [grafana, ["month", "2026-12-20T12:00:00.000Z"]]);
  assert.deepEqual(ends(NOW_MS + 30 * day), [grafana]);
  assert.deepEqual(ends(NOW_MS + 90 * day), []);
});
