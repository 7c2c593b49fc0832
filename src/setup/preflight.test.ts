import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { Check } from "./check.ts";
import type { PreflightFacts } from "./facts.ts";
import { decidePreflight, renderChecks, requirePreflight } from "./preflight.ts";

/** A running primary, as good as can be. */
const GOOD: PreflightFacts = {
  root: true,
  puppet: { kind: "debian", version: "7.9.5" },
  versions: { haproxy: "2.6.12", keepalived: "2.2.7", etcd: "3.4.23" },
  takenPorts: [],
  localAddresses: ["10.0.0.11", "fd00::11"],
  address: "10.0.0.11",
  clockSynchronized: true,
  sharedName: "puppet.test",
  sharedNameResolvesTo: ["10.0.0.10"],
  certname: "s1.test",
  certnameResolvesTo: ["10.0.0.11"],
  virtualIps: [{ address: "10.0.0.10", interface: "eth0", heldBy: "nobody" }],
  resumed: false,
  fsyncMs: 1.5,
  memoryMiB: 4096,
  configuration: { runs: true, writes: [{ path: "/c/auth.conf", because: "so" }] },
  caDirectory: { path: "/ca", state: "complete" },
  ownCaRules: [],
  caConf: { infraCrl: false },
  caPort: "8140",
  hostCertificate: { path: "/s1.pem", altNames: ["puppet"], keyFits: true, ours: true },
  readOnly: [],
};
const ABSENT = { caDirectory: { path: "/ca", state: "absent" } } as const;
const vip = (facts: Partial<PreflightFacts["virtualIps"][number]>) => ({
  virtualIps: [{ address: "10.0.0.10", interface: "eth0", heldBy: "nobody" as const, ...facts }],
});
const old = (versions: PreflightFacts["versions"]) => ({
  versions: { ...GOOD.versions, ...versions },
});

function problems(kind: "init" | "join", change: Partial<PreflightFacts>): Check[] {
  return decidePreflight(kind, { ...GOOD, ...change }).filter(({ verdict }) => verdict !== "ok");
}

test("decidePreflight finds nothing wrong where nothing is", () => {
  assert.deepEqual(problems("init", {}), []);
  assert.deepEqual(problems("join", ABSENT), []);
});

type Case = [
  what: string,
  change: Partial<PreflightFacts>,
  verdict: "fatal" | "warning",
  code: string,
  said: RegExp,
];
const CASES: Case[] = [
  ["somebody else than root", { root: false }, "fatal", "setup.not-root", /needs root/],
  [
    "no Puppet Server",
    { puppet: { code: "host.no-puppetserver", message: "not installed", hints: [] } },
    "fatal",
    "host.no-puppetserver",
    /not installed/,
  ],
  [
    "a puppet that says nothing",
    { puppet: { code: "host.puppet-silent", message: "puppet fails", hints: ["Try it."] } },
    "fatal",
    "host.puppet-silent",
    /puppet fails/,
  ],
  ["no HAProxy", old({ haproxy: undefined }), "fatal", "setup.program-version", /isn't installed/],
  [
    "an old HAProxy",
    old({ haproxy: "2.5.9" }),
    "fatal",
    "setup.program-version",
    /2\.5\.9 is too old/,
  ],
  ["an old etcd", old({ etcd: "2.9.0" }), "fatal", "setup.program-version", /etcd 2\.9\.0/],
  ["an old keepalived", old({ keepalived: "2.1" }), "fatal", "setup.program-version", /2\.1 is/],
  [
    "a port that is taken",
    { takenPorts: [{ port: 9141, by: "perl" }] },
    "fatal",
    "setup.port-taken",
    /9141 \(perl\)/,
  ],
  [
    "a port of the CA's own, as behind a balancer",
    { caPort: "8141" },
    "warning",
    "setup.ca-port",
    /ca_port = 8141/,
  ],
  [
    "somebody else's address",
    { address: "10.0.0.12", certnameResolvesTo: ["10.0.0.12"] },
    "fatal",
    "setup.address",
    /isn't an address of/,
  ],
  [
    "an IPv6 address",
    { address: "fd00::11", certnameResolvesTo: ["fd00::11"], virtualIps: [] },
    "fatal",
    "setup.address",
    /IPv6/,
  ],
  [
    "a certname that leads nowhere",
    { certnameResolvesTo: [] },
    "warning",
    "setup.name",
    /doesn't resolve/,
  ],
  [
    "a certname that leads elsewhere",
    { certnameResolvesTo: ["10.0.0.9"] },
    "warning",
    "setup.name",
    /not to 10\.0\.0\.11/,
  ],
  [
    "a clock on its own",
    { clockSynchronized: false },
    "warning",
    "setup.clock",
    /not synchronized/,
  ],
  [
    "a clock nobody knows of",
    { clockSynchronized: undefined },
    "warning",
    "setup.clock",
    /unknown/,
  ],
  [
    "a shared name that leads nowhere",
    { sharedNameResolvesTo: [] },
    "warning",
    "setup.shared-name",
    /doesn't resolve/,
  ],
  [
    "a shared name that leads elsewhere",
    { sharedNameResolvesTo: ["10.0.0.9"] },
    "warning",
    "setup.shared-name",
    /is 10\.0\.0\.9/,
  ],
  ["a slow disk", { fsyncMs: 25.1 }, "warning", "setup.slow-disk", /25\.1 ms/],
  ["little memory", { memoryMiB: 1499 }, "warning", "setup.memory", /1499 MiB/],
  [
    "a configuration that isn't understood",
    { configuration: { problem: "/c/web.conf:3: odd", hints: ["Mend it."] } },
    "fatal",
    "puppetserver.config-unknown",
    /web\.conf:3/,
  ],
  [
    "half a CA",
    { caDirectory: { path: "/ca", problem: "no key" } },
    "fatal",
    "ca.directory-partial",
    /no key/,
  ],
  ["rules of its own for the CA", { ownCaRules: ["mine"] }, "warning", "setup.ca-rules", /mine/],
  [
    "a ca.conf that isn't understood",
    { caConf: { problem: "/c/ca.conf: line 3: odd" } },
    "fatal",
    "ca.conf",
    /ca\.conf: line 3/,
  ],
  [
    "a CRL of servers only",
    { caConf: { infraCrl: true } },
    "warning",
    "setup.infra-crl",
    /servers/,
  ],
  [
    "a directory that the daemon can't write",
    { readOnly: ["/srv/ca"] },
    "fatal",
    "setup.read-only",
    /\/srv\/ca/,
  ],
  [
    "a virtual IP of no network here",
    vip({ interface: undefined }),
    "fatal",
    "setup.vip-subnet",
    /no subnet/,
  ],
  [
    "a virtual IP that somebody has",
    vip({ heldBy: "another" }),
    "fatal",
    "setup.vip-taken",
    /answers/,
  ],
  [
    "a virtual IP that this server has",
    vip({ heldBy: "this-server" }),
    "fatal",
    "setup.vip-own",
    /has it already$/,
  ],
  [
    "a virtual IP that is all that this server has there",
    vip({ heldBy: "this-server", interface: undefined }),
    "fatal",
    "setup.vip-own",
    /and no other address of its network/,
  ],
  [
    "this server's own address as a virtual one",
    {
      ...vip({ address: "10.0.0.11", heldBy: "this-server" }),
      sharedNameResolvesTo: ["10.0.0.11"],
    },
    "fatal",
    "setup.vip-own",
    /own address/,
  ],
  [
    "an IPv6 virtual IP alone",
    { ...vip({ address: "fd00::10" }), sharedNameResolvesTo: ["fd00::10"] },
    "fatal",
    "setup.vip-family",
    /no IPv4 one/,
  ],
  [
    "a certificate of another CA",
    { hostCertificate: { path: "/s1.pem", altNames: [], keyFits: true, ours: false } },
    "warning",
    "setup.foreign-certificate",
    /not of the CA here/,
  ],
  [
    "more names than a cluster keeps",
    {
      hostCertificate: {
        path: "/s1.pem",
        altNames: Array.from({ length: 65 }, (_, index) => `n${index}`),
        keyFits: true,
        ours: true,
      },
    },
    "fatal",
    "setup.names",
    /65 alternative names/,
  ],
];
for (const [what, change, verdict, code, said] of CASES) {
  test(`decidePreflight tells of ${what}, and of nothing else`, () => {
    const found = problems("init", change);
    assert.deepEqual(
      found.map((check) => [check.verdict, check.code]),
      [[verdict, code]],
    );
    assert.match(found[0]?.found ?? "", said);
    assert.notEqual(found[0]?.remedy ?? "", "");
  });
}

test("decidePreflight lets an interrupted init hold its virtual IP", () => {
  assert.deepEqual(problems("init", { ...vip({ heldBy: "this-server" }), resumed: true }), []);
  const own = { ...vip({ address: "10.0.0.11", heldBy: "this-server" }), resumed: true };
  assert.ok(problems("init", own).some(({ code }) => code === "setup.vip-own"));
});

test("decidePreflight lets an IPv6 virtual IP follow an IPv4 one", () => {
  const { virtualIps } = vip({});
  const both = [...virtualIps, { ...virtualIps[0]!, address: "fd00::10" }];
  assert.deepEqual(problems("init", { virtualIps: both }), []);
});

test("decidePreflight has a joiner refuse a CA of its own, and accept what belongs to the cluster", () => {
  const [own, ...more] = problems("join", {});
  assert.deepEqual([own?.code, more], ["join.own-ca", []]);
  const held = {
    ...vip({ heldBy: "another" }),
    caDirectory: { path: "/ca", state: "absent" as const },
  };
  assert.deepEqual(problems("join", held), []);
});

test("decidePreflight leaves puppetserver and PuppetDB the ports that they have until they move", () => {
  const java = (port: number) => ({ port, by: "java (process 812) listens on it" });
  const haproxy = { port: 8140, by: "haproxy (process 9) listens on it" };
  assert.deepEqual(problems("init", { takenPorts: [8140, 8141, 8081].map(java) }), []);
  const [taken] = problems("join", { ...ABSENT, takenPorts: [java(8141), java(9141), haproxy] });
  assert.match(taken?.found ?? "", /^in use: 9141 \(java .*\), 8140 \(haproxy .*\)$/);
});

test("requirePreflight lists all fatal problems with their remedies, and lets warnings pass", () => {
  const checks = decidePreflight("init", { ...GOOD, root: false, memoryMiB: 1, readOnly: ["/ca"] });
  assert.throws(
    () => requirePreflight(checks),
    (error) => {
      assert.ok(isFault(error, "setup.preflight"));
      assert.match(error.message, /^2 problems must be solved first; nothing was changed/);
      assert.match(error.hints.join("\n"), /setup\.not-root: .*\n {2}Run .*\nsetup\.read-only: /);
      return true;
    },
  );
  assert.match(renderChecks(checks), /✗ +root/);
  const warned = decidePreflight("init", { ...GOOD, memoryMiB: 1 });
  assert.equal(requirePreflight(warned), warned);
});
