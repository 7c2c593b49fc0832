import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createRevocationSync } from "./revocation-sync.ts";

test("createRevocationSync tells new workers everything, known ones what is new, and nothing twice", async () => {
  const told: number[] = [];
  let confirmed = true;
  let number = 1;
  const revoked = Array.from({ length: 50_000 }, (_, index) => ({
    serial: (index + 1).toString(16),
  }));
  const authority = {
    currentCrl: () => ({ number }),
    issuerText: () => "CN=Puppet CA",
    revocations: () => revoked,
  };
  const edge = createRevocationSync(authority, async (keys) => {
    told.push(keys.length);
    return { confirmed, because: "worker 7 is silent" };
  });
  await edge.sync("7");
  await edge.sync("7");
  assert.deepEqual(told.splice(0), [50_000]);
  assert.equal(edge.confirmedCrl(), 1);

  revoked.push({ serial: "ffff1" });
  number = 2;
  confirmed = false;
  await assert.rejects(edge.sync("7"), (error) => isFault(error, "edge.not-confirmed"));
  assert.equal(edge.confirmedCrl(), 1, "not before every worker has confirmed");
  confirmed = true;
  await edge.sync("7");
  assert.equal(edge.confirmedCrl(), 2);
  assert.deepEqual(told.splice(0), [1, 1]);

  await edge.sync("7 8");
  assert.deepEqual(told.splice(0), [50_001], "a new worker may know nothing");

  // A revocation is refused also while the CRL that has it can't be published.
  revoked.push({ serial: "ffff2" });
  await edge.sync("7 8");
  assert.deepEqual(told.splice(0), [1]);
});
