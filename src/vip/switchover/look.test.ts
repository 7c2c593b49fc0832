import assert from "node:assert/strict";
import { test } from "node:test";
import type { LocalAddress } from "../../host/network.ts";
import { findProblems, ownOn, twoOnOneSubnet } from "./look.ts";

const local = (name: string, address: string): LocalAddress => ({
  interface: name,
  address,
  family: 4,
  prefix: 24,
});

test("ownOn gives the server's own address, never another virtual one", () => {
  const wanted = ["10.0.0.10/24", "10.0.0.9/24"];
  const here = [local("eth0", "10.0.0.9"), local("eth0", "10.0.0.1"), local("eth1", "10.1.0.1")];
  assert.equal(ownOn("10.0.0.10/24", wanted, here)?.address, "10.0.0.1");
  assert.equal(ownOn("10.2.0.10/24", wanted, here), undefined);
});

test("twoOnOneSubnet finds a second interface that would answer for the address", () => {
  const wanted = ["10.0.0.10/24"];
  const here = [local("eth0", "10.0.0.1"), local("eth0", "10.0.0.10"), local("eth1", "10.1.0.1")];
  assert.deepEqual(twoOnOneSubnet(wanted, here), []);
  const [problem] = twoOnOneSubnet(wanted, [...here, local("eth2", "10.0.0.4")]);
  assert.match(problem ?? "", /eth0 and eth2 are both on the subnet/);
});

test("findProblems looks also where an address of IPv6 is the first one, and not where all are", async () => {
  const six = { interface: "eth0", address: "fd00::1", family: 6, prefix: 64 } as const;
  const here = [six, local("eth0", "10.0.0.1"), local("eth2", "10.0.0.4")];
  const found = await findProblems(["fd00::10/64", "10.0.0.10/24"], here);
  assert.match(found.join(), /eth0 and eth2 are both on the subnet/);
  assert.deepEqual(await findProblems(["fd00::10/64"], here), []);
});
