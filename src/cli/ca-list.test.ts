import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { queryOf, renderList, renderShown } from "./ca-list.ts";

void test("queryOf asks for waiting requests unless told otherwise", () => {
  const cases: [...Parameters<typeof queryOf>, Record<string, string>][] = [
    [undefined, {}, { state: "requested" }],
    ["web*", {}, { pattern: "web*", state: "requested" }],
    [undefined, { all: true }, {}],
    [undefined, { state: "revoked", limit: "5" }, { state: "revoked", limit: "5" }],
    [undefined, { expiring: "1d12h" }, { endsWithinS: "129600" }],
    [undefined, { expiring: "30d", state: "signed" }, { endsWithinS: "2592000", state: "signed" }],
  ];
  for (const [pattern, flags, query] of cases) assert.deepEqual(queryOf(pattern, flags), query);
  for (const flags of [{ state: "x" }, { limit: "0" }, { limit: "x" }, { expiring: "soon" }]) {
    assert.throws(
      () => queryOf(undefined, flags),
      (error) => isFault(error, "cli.option") || isFault(error, "base.duration"),
    );
  }
});

void test("renderList says what a request asks for besides its name", () => {
  const request = (name: string, altNames: string[], extensions: Record<string, string>) => {
    return { name, state: "requested" as const, fingerprint: "AA:BB", altNames, extensions };
  };
  const entries = [
    request("a.test", ["DNS:a.test"], {}),
    request("b.test", ["IP:10.0.0.1", "DNS:b.test", "DNS:db"], { pp_auth_role: "db\u001b[2K" }),
  ];
  assert.equal(
    renderList({ entries, total: 3 }, {}).replaceAll(/ +$/gm, ""),
    `NAME    STATE      SERIAL  EXPIRES  SHA-256 FINGERPRINT  BESIDES
a.test  requested  -       -        AA:BB                -
b.test  requested  -       -        AA:BB                IP:10.0.0.1, DNS:db, pp_auth_role=db\\u{1b}[2K
… and 1 more.`,
  );
});

void test("renderShown puts the request that waits first, and leaves out what isn't known", () => {
  const one = {
    serial: "0000000C",
    certname: "a.test",
    state: "revoked" as const,
    notBefore: "2026-01-01T00:00:00.000Z",
    notAfter: "2031-01-01T00:00:00.000Z",
    signedBy: "s1",
    signedAt: "2026-01-01T00:00:00.000Z",
    revokedAt: "2026-02-01T00:00:00.000Z",
    crlNumber: 4,
    altNames: ["DNS:a.test"],
    authorizationExtensions: { pp_cli_auth: "true" },
    fingerprint: "AA:BB",
  };
  const request = {
    name: "a.test",
    subject_alt_names: [],
    authorization_extensions: {},
    fingerprint: "CC",
  };
  assert.equal(
    renderShown({ certificates: [one], request }),
    `a.test: a request waits
  SHA-256        CC

a.test: revoked
  serial         0000000C
  valid          2026-01-01T00:00:00.000Z to 2031-01-01T00:00:00.000Z
  revoked        2026-02-01T00:00:00.000Z, since CRL 4
  signed         2026-01-01T00:00:00.000Z by s1
  alt names      DNS:a.test
  authorization  pp_cli_auth=true
  SHA-256        AA:BB`,
  );
});

void test("renderShown lets no request write lines of its own, or to the terminal", () => {
  const request = {
    name: "a.test",
    subject_alt_names: ["DNS:a.test\u001b[1A\u001b[2K"],
    authorization_extensions: { pp_auth_role: "web\n  SHA-256        AA:BB" },
    fingerprint: "CC",
  };
  assert.equal(
    renderShown({ certificates: [], request }),
    `a.test: a request waits
  alt names      DNS:a.test\\u{1b}[1A\\u{1b}[2K
  authorization  pp_auth_role=web\\u{a}  SHA-256        AA:BB
  SHA-256        CC`,
  );
});
