import assert from "node:assert/strict";
import { test } from "node:test";
import { factsFrom, readOsRelease } from "./facts.ts";

const BOOKWORM = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_ID="12"
ID=debian
HOME_URL="https://www.debian.org/"
`;
const sources = {
  certname: "understudy-probe.s1.test",
  hostname: "s1",
  address: "10.0.0.1",
  kernelRelease: "6.1.0",
  puppetVersion: "8.10.0",
};

test("factsFrom gives what most sites look at, by old names and new ones", () => {
  const facts = factsFrom({ ...sources, osRelease: BOOKWORM });
  const release = { full: "12", major: "12", minor: "" };
  const { os, osfamily, clientversion, fqdn } = facts;
  assert.deepEqual(
    { ...(os as object), architecture: "" },
    { name: "Debian", family: "Debian", release, architecture: "" },
  );
  assert.deepEqual([osfamily, clientversion, fqdn], ["Debian", "8.10.0", sources.certname]);
});

test("factsFrom gives facts also of a system that it doesn't know", () => {
  const facts = factsFrom({ ...sources, osRelease: "ID=odd\n", puppetVersion: undefined });
  assert.equal(facts["osfamily"], "odd");
  assert.ok(!("clientversion" in facts));
  assert.equal(factsFrom({ ...sources, osRelease: "" })["kernel"], "Linux");
});

test("readOsRelease takes values with and without quotes", () => {
  assert.deepEqual(readOsRelease('A=b\nC="d e"\n# F=g\n'), { A: "b", C: "d e" });
});
