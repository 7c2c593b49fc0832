import assert from "node:assert/strict";
import { test } from "node:test";
import type { PreflightFacts } from "./facts.ts";
import { describeInit, type InitOptions } from "./init-plan.ts";

const OPTIONS: InitOptions = {
  sharedName: "puppet.test",
  altNames: [],
  virtualIps: ["10.0.0.10/24"],
  acceptProxyFrom: ["10.0.0.5"],
  isolatedEdge: "serve" as const,
  address: "10.0.0.11",
};
const PRIMARY: Pick<PreflightFacts, "configuration" | "caDirectory" | "hostCertificate"> = {
  configuration: {
    runs: true,
    writes: [{ path: "/c/webserver.conf", because: "puppetserver listens on port 8141" }],
  },
  caDirectory: { path: "/ca", state: "complete" },
  hostCertificate: { path: "/s1.pem", altNames: ["puppet", "s1.test"], keyFits: true, ours: true },
};
const plan = (facts: Partial<typeof PRIMARY> = {}, options = OPTIONS) =>
  describeInit("s1.test", options, { ...PRIMARY, ...facts } as PreflightFacts).join("\n");

test("describeInit says of a running primary what stops, what is kept and what is edited", () => {
  const text = plan();
  assert.match(text, /stop puppetserver, once the requests .* are answered: 45 s at most/);
  assert.match(text, /keep the Puppet CA in \/ca, and read it .*\n.*mode 0600/);
  assert.match(text, /FILE\.before-understudy:\n +\/c\/webserver\.conf: puppetserver listens/);
  assert.match(
    text,
    /certificate signed for this server, named puppet\.test, puppet, s1\.test; the former/,
  );
  assert.match(text, /port 8140.*\n.*PROXY protocol from 10\.0\.0\.5, and from nobody else/);
  assert.match(text, / 10\. hold 10\.0\.0\.10\/24 \(keepalived/);
  assert.match(text, /^It would.*\n {2}1\. make[\s\S]*\nNothing was changed\.$/);
});

test("describeInit says of a server without a CA that one is made", () => {
  const text = plan({
    caDirectory: { path: "/ca", state: "absent" },
    hostCertificate: undefined,
    configuration: { runs: false, writes: [] },
  });
  assert.match(text, /make a new Puppet CA, "Puppet CA: s1\.test", in \/ca\n/);
  assert.doesNotMatch(text, /stop puppetserver|mode 0600|FILE\./);
});

test("describeInit says when this server's certificate stays, and leaves out what isn't asked for", () => {
  const altNames = ["puppet.test"];
  const hostCertificate = { path: "/s1.pem", altNames, keyFits: true, ours: true };
  const text = plan({ hostCertificate }, { ...OPTIONS, virtualIps: [], acceptProxyFrom: [] });
  assert.match(text, /keep this server's certificate, \/s1\.pem/);
  assert.doesNotMatch(text, /hold|PROXY/);
  for (const ours of [false, undefined]) {
    const foreign = plan({ hostCertificate: { ...hostCertificate, ours } });
    assert.match(foreign, /have a certificate signed for this server/);
  }
  const wished = plan({ hostCertificate }, { ...OPTIONS, altNames: ["old.test"] });
  assert.match(wished, /signed for this server, named puppet\.test, old\.test, s1\.test;/);
});

test("describeInit tells nothing of files that aren't understood", () => {
  const text = plan({
    configuration: { problem: "odd", hints: [] },
    caDirectory: { path: "/ca", problem: "no key" },
  });
  assert.doesNotMatch(text, /FILE\.before-understudy:|Puppet CA in|new Puppet CA/);
});
