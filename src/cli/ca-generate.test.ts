import assert from "node:assert/strict";
import { test } from "node:test";
import { renderGenerated } from "./ca-generate.ts";

const FILES = {
  certificate: "/ssl/certs/db.test.pem",
  privateKey: "/ssl/private_keys/db.test.pem",
};

void test("renderGenerated names the files, and the servers that have the certificate on disk", () => {
  const signed = { certname: "db.test", copies: 2, of: ["s1", "s2"] };
  assert.equal(
    renderGenerated(signed, FILES),
    "db.test: signed\n  /ssl/certs/db.test.pem\n  /ssl/private_keys/db.test.pem\n2 copies: s1, s2",
  );
  assert.match(renderGenerated({ ...signed, copies: 1, of: ["s1"] }, FILES), /^1 copy: only s1 /m);
});
