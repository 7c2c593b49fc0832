import assert from "node:assert/strict";
import { test } from "node:test";
import { renderOpening } from "./listener.ts";
import { agentPaths, identityHeaders } from "./requests.ts";

test("renderOpening points every TLS setting of the listener at its own files", () => {
  const script = renderOpening("s1.lab.test");
  for (const key of ["ssl-cert", "ssl-key", "ssl-ca-cert", "ssl-crl-path"]) {
    assert.match(script, new RegExp(`sed .*\\^\\( \\*"\\?${key}"\\?:\\)`));
  }
  assert.match(script, /grep -qx 4/);
});

test("agentPaths are the eight requests of a run, of which one names the node", () => {
  const paths = agentPaths("n1.lab.test");
  assert.equal(paths.length, 8);
  assert.deepEqual(
    paths.filter((path) => path.includes("n1.lab.test")),
    [paths[0]],
  );
  for (const path of paths) assert.match(path, /\?environment=production&/);
});

test("identityHeaders carry the certificate so that a header can hold it", () => {
  const headers = identityHeaders("n1", "-----BEGIN CERTIFICATE-----\nAA+/=\n");
  assert.equal(headers["x-client-dn"], "CN=n1");
  assert.doesNotMatch(headers["x-client-cert"] ?? "", /[\n+/ ]/);
});
