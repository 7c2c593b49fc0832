import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../src/base/fault.ts";
import { addressOf, macOf, nspawnArgs, plugCommands, relayPort, renderHosts } from "./plan.ts";

const NAMES = ["s", "a", "c", "w"].flatMap((letter) =>
  Array.from({ length: 9 }, (_, index) => `${letter}${index + 1}`),
);

test("addressOf gives every name its own address, none of them the virtual IP or the switch", () => {
  assert.equal(addressOf("s1"), "10.88.0.11");
  assert.equal(addressOf("a1"), "10.88.0.21");
  const all = [...NAMES.map(addressOf), "10.88.0.1", "10.88.0.10"];
  assert.equal(new Set(all).size, all.length);
});

test("addressOf refuses what is no host's name", () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      fc.pre(!NAMES.includes(name));
      assert.throws(
        () => addressOf(name),
        (error) => isFault(error, "lab.host-name"),
      );
    }),
  );
});

test("macOf is a unicast, locally administered address, one per host", () => {
  const all = NAMES.map(macOf);
  assert.equal(macOf("s1"), "02:55:0a:58:00:0b");
  assert.equal(new Set(all).size, all.length);
  for (const mac of all) assert.match(mac, /^02(:[0-9a-f]{2}){5}$/);
});

test("names of interfaces fit the kernel's 15 characters", () => {
  for (const name of NAMES) {
    assert.ok(relayPort(name).port.length <= 15);
    assert.match(plugCommands(name)[0] ?? "", new RegExp(`^link add ${name} type veth `));
  }
});

test("renderHosts puts the full name first, so that it is the canonical one", () => {
  const lines = renderHosts().split("\n");
  assert.ok(lines.includes("10.88.0.11 s1.lab.test s1"));
  assert.ok(lines.includes("10.88.0.10 puppet.lab.test puppet"));
});

test("nspawnArgs gives keepalived the right to set addresses and never registers with systemd", () => {
  const args = nspawnArgs("s1", "/x/root");
  for (const needed of ["--capability=CAP_NET_ADMIN", "--register=no", "--keep-unit"]) {
    assert.ok(args.includes(needed), needed);
  }
  assert.ok(args.includes("--directory=/x/root"));
});
