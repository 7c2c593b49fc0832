import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import {
  configuredAddresses,
  inNetworks,
  inSubnet,
  interfaceFor,
  type LocalAddress,
  localAddresses,
  parseAddresses,
  parseCidr,
  parseListener,
  parseNeighbour,
  portsFree,
  resolveName,
  sameAddress,
} from "./network.ts";

test("parseCidr reads both families", () => {
  assert.deepEqual(parseCidr("10.88.0.10/24"), { address: "10.88.0.10", prefix: 24, family: 4 });
  assert.deepEqual(parseCidr("fd00::10/64"), { address: "fd00::10", prefix: 64, family: 6 });
});

for (const text of ["", "10.0.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/0", "a/24", "1.2.3/8"]) {
  test(`parseCidr refuses "${text}"`, () => {
    assert.throws(
      () => parseCidr(text),
      (error) => isFault(error, "host.address"),
    );
  });
}

test("parseCidr refuses any text or gives a usable address, never something else", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const cidr = parseCidr(text);
        assert.ok(inSubnet(cidr.address, cidr));
      } catch (error) {
        assert.ok(isFault(error, "host.address"));
      }
    }),
  );
});

test("inNetworks takes addresses and networks of both families, also all of one", () => {
  for (const [address, networks, expected] of [
    ["10.0.0.5", [], false],
    ["10.0.0.5", ["10.0.0.5"], true],
    ["10.0.0.6", ["10.0.0.5"], false],
    ["10.0.0.6", ["10.0.1.0/24", "10.0.0.0/24"], true],
    ["10.0.0.6", ["10.0.0.9/24"], true],
    ["10.0.0.6", ["0.0.0.0/0"], true],
    ["10.0.0.6", ["::/0"], false],
    ["fd00::5", ["0.0.0.0/0"], false],
    ["fd00::5", ["fd00:0::5"], true],
    ["fd00::5", ["fd00::/8"], true],
    ["unknown", ["0.0.0.0/0", "::/0"], false],
  ] as const) {
    assert.equal(inNetworks(address, networks), expected, `${address} in ${networks.join(" ")}`);
  }
});

test("inSubnet masks host bits and keeps families apart", () => {
  const cidr = parseCidr("10.88.0.10/24");
  assert.ok(inSubnet("10.88.0.200", cidr));
  assert.ok(!inSubnet("10.88.1.1", cidr));
  assert.ok(!inSubnet("fd00::1", cidr));
  assert.ok(inSubnet("fd00::99", parseCidr("fd00::10/64")));
});

test("sameAddress knows the spellings of an address", () => {
  assert.ok(sameAddress("fd00::10", "FD00:0:0::0010") && sameAddress("10.0.0.1", "10.0.0.1"));
  assert.ok(!sameAddress("10.0.0.1", "10.0.0.2") && !sameAddress("10.0.0.1", "fd00::1"));
  assert.ok(!sameAddress("10.0.0.1", "no address"));
});

test("interfaceFor picks the longest prefix that holds the address, and not the address itself", () => {
  const local: LocalAddress[] = [
    { interface: "eth0", address: "10.0.0.5", family: 4, prefix: 8 },
    { interface: "eth1", address: "10.88.0.11", family: 4, prefix: 24 },
  ];
  assert.equal(interfaceFor(parseCidr("10.88.0.10/24"), local)?.interface, "eth1");
  assert.equal(interfaceFor(parseCidr("10.9.0.1/24"), local)?.interface, "eth0");
  assert.equal(interfaceFor(parseCidr("192.168.1.1/24"), local), undefined);
  assert.equal(interfaceFor(parseCidr("10.88.0.11/24"), local)?.interface, "eth0");
});

function entry(state: string[]): string {
  return JSON.stringify([{ dst: "10.0.0.10", lladdr: "02:00:00:00:00:01", state }]);
}

test("parseNeighbour takes an answer by ARP, and no failed or foreign entry", () => {
  assert.equal(parseNeighbour(entry(["REACHABLE"]), "10.0.0.10"), "02:00:00:00:00:01");
  assert.equal(parseNeighbour(entry(["FAILED"]), "10.0.0.10"), undefined);
  assert.equal(parseNeighbour(entry(["REACHABLE"]), "10.0.0.11"), undefined);
  for (const text of ["", "[ ]", "not json", '{"a":1}', "[{}]"]) {
    assert.equal(parseNeighbour(text, "10.0.0.10"), undefined);
  }
});

test("parseAddresses reads ip's list with its prefixes, and any other text as none", () => {
  const json = JSON.stringify([
    { ifname: "lo", addr_info: [{ local: "127.0.0.1", prefixlen: 8, scope: "host" }] },
    {
      ifname: "eth0",
      addr_info: [
        { local: "10.88.0.11", prefixlen: 24, scope: "global" },
        { local: "fd88::11", prefixlen: 64, scope: "global" },
        { local: "fe80::1", prefixlen: 64, scope: "link" },
      ],
    },
    { ifname: "eth1" },
  ]);
  assert.deepEqual(parseAddresses(json), [
    { interface: "eth0", address: "10.88.0.11", family: 4, prefix: 24 },
    { interface: "eth0", address: "fd88::11", family: 6, prefix: 64 },
  ]);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.deepEqual(parseAddresses(text), []);
    }),
  );
});

test("configuredAddresses sees every address that localAddresses sees", async () => {
  const configured = (await configuredAddresses()).map((each) => each.address);
  for (const { address } of localAddresses()) assert.ok(configured.includes(address), address);
});

test("portsFree names the program that listens on a port", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const [taken] = await portsFree([address.port]);
  assert.ok(taken?.free === false);
  assert.match(taken.because, /listens on it/);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  assert.deepEqual(await portsFree([address.port], "127.0.0.1"), [
    { port: address.port, free: true },
  ]);
});

test("parseListener reads the owner from ss and copes without one", () => {
  const line = 'LISTEN 0 4096 0.0.0.0:8140 0.0.0.0:* users:(("java",pid=812,fd=9))';
  assert.equal(parseListener(line), "java (process 812)");
  assert.equal(parseListener("LISTEN 0 4096 0.0.0.0:8140 0.0.0.0:*"), undefined);
});

test("resolveName knows localhost and gives nothing for a name that can't be", async () => {
  assert.ok((await resolveName("localhost")).length > 0);
  assert.deepEqual(await resolveName("no-such-host.invalid"), []);
});
