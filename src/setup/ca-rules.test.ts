import assert from "node:assert/strict";
import { test } from "node:test";
import { ownCaRules } from "./ca-rules.ts";

const TOOLS = 'allow: {\n  extensions: {\n    pp_cli_auth: "true"\n  }\n}';
const rule = (path: string, name: string, who: string) => `{
    # a comment
    match-request: {
        path: "${path}"
        type: path
        method: [get, put]
    }
    ${who}
    sort-order: 500
    name: "${name}"
}`;
const conf = (...rules: string[]) =>
  `authorization: {\n  version: 1\n  rules: [\n${rules.join(",\n")}\n  ]\n}\n`;
const STOCK = [
  rule("/puppet-ca/v1/certificate/", "puppetlabs certificate", "allow-unauthenticated: true"),
  rule("/puppet-ca/v1/certificate_revocation_list/ca", "puppetlabs crl", 'allow: "*"'),
  rule("/puppet-ca/v1/certificate_status", "puppetlabs cert status", TOOLS),
  rule("^/puppet-ca/v1/certificate_revocation_list$", "puppetlabs CRL update", TOOLS),
  rule("/puppet-ca/v1/expirations", "puppetlabs expirations", 'allow: "*"'),
  rule("/puppet/v3/status", "puppetlabs status", 'deny: "*"'),
];

test("ownCaRules finds none among stock's", () => {
  assert.deepEqual(ownCaRules(conf(...STOCK)), []);
  assert.deepEqual(ownCaRules("authorization: { version: 1 }"), []);
});

test("ownCaRules names rules that let others in, keep agents out, or have a name of their own", () => {
  const own = [
    rule("/puppet-ca/v1/certificate_status", "puppetlabs cert status", 'allow: ["dash.test"]'),
    rule("/puppet-ca/v1/clean", "puppetlabs cert clean", 'allow: "*"'),
    rule("/puppet-ca/v1/certificate_request", "puppetlabs csr", 'deny: "*.evil.test"'),
    rule("/puppet-ca/v1/certificate_statuses", "dashboard", TOOLS),
  ];
  assert.deepEqual(ownCaRules(conf(...STOCK, ...own)), [
    "puppetlabs cert status",
    "puppetlabs cert clean",
    "puppetlabs csr",
    "dashboard",
  ]);
});

test("ownCaRules says that it doesn't know where the file can't be read", () => {
  assert.equal(ownCaRules("authorization: { rules: ${x} }"), undefined);
});
