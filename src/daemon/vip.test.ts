import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { LocalAddress } from "../host/network.ts";
import { placeAddresses } from "./vip.ts";

const eth0: LocalAddress = { interface: "eth0", address: "10.0.0.11", family: 4, prefix: 24 };

test("placeAddresses finds each address its interface, and says which have none", () => {
  assert.deepEqual(placeAddresses([], []), { addresses: [], missing: [] });
  assert.deepEqual(placeAddresses(["10.0.0.10/24", "10.9.0.1/24"], [eth0]), {
    addresses: [{ address: "10.0.0.10/24", interface: "eth0" }],
    missing: ["10.9.0.1/24"],
  });
});

test("placeAddresses refuses to place none of those that are wanted: keepalived isn't stopped for it", () => {
  assert.throws(
    () => placeAddresses(["10.0.0.10/24"], []),
    (error) => isFault(error, "vip.no-interface") && error.message.includes("10.0.0.10/24"),
  );
});
