import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { LocalAddress } from "../host/network.ts";
import { chooseAddress } from "./own-address.ts";

const v4 = (address: string): LocalAddress => ({ interface: "e", address, family: 4, prefix: 24 });
const v6 = (address: string): LocalAddress => ({ interface: "e", address, family: 6, prefix: 64 });

test("chooseAddress takes the IPv4 address of this server's name, then the only one", () => {
  const local = [v6("fd00::11"), v4("10.0.0.11"), v4("10.1.0.11")];
  assert.equal(chooseAddress(["fd00::11", "10.1.0.11"], local), "10.1.0.11");
  assert.equal(chooseAddress(["fd00::11"], local.slice(0, 2)), "10.0.0.11");
  assert.equal(chooseAddress(["127.0.1.1"], local.slice(0, 2)), "10.0.0.11");
});

test("chooseAddress asks where it isn't clear, or where there is no IPv4", () => {
  const refuses = (local: LocalAddress[], hint: RegExp) =>
    assert.throws(
      () => chooseAddress(["192.0.2.1"], local),
      (error) => isFault(error, "setup.address") && hint.test(error.hints.join("\n")),
    );
  refuses([v4("10.0.0.11"), v4("10.1.0.11")], /Candidates: 10\.0\.0\.11, 10\.1\.0\.11/);
  refuses([v6("fd00::11")], /no IPv4 address/);
});
