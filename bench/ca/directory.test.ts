import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readAuthority } from "../../src/ca/directory-state.ts";
import { readContent } from "../../src/ca/import-read.ts";
import { generateEcKey, spkiOf } from "../../src/x509/keys.ts";
import { fleetName, type FleetPlan, makeDirectory, planFleet } from "./directory.ts";

const CLEANED: FleetPlan = { certificates: 5, revoked: 3, cleaned: true, keyBits: 2048 };
const KEPT: FleetPlan = { certificates: 5, revoked: 3, cleaned: false, keyBits: 2048 };

test("planFleet gives each serial once, and lets the first ones be in force", () => {
  for (const [plan, total, inForce] of [
    [CLEANED, 8, 5],
    [KEPT, 5, 2],
  ] as const) {
    const planned = planFleet(plan);
    assert.equal(new Set(planned.map(({ serial }) => serial)).size, total);
    assert.equal(planned.filter(({ revoked }) => revoked).length, plan.revoked);
    assert.equal(planned.filter(({ kept }) => kept).length, plan.certificates);
    assert.deepEqual(
      planned.filter(({ revoked }) => !revoked).map(({ certname }) => certname),
      Array.from({ length: inForce }, (_, index) => fleetName(index + 1)),
    );
  }
});

test("makeDirectory makes a CA directory that is whole, and nothing about it is odd", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-fleet-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, plan] of Object.entries({ CLEANED, KEPT })) {
    const cadir = join(folder, name);
    await makeDirectory(cadir, plan, spkiOf(generateEcKey()));
    const authority = await readAuthority(cadir);
    assert.ok(authority.state === "complete", authority.state);
    const { signed, inventory, notes, next } = await readContent(cadir, authority);
    const total = planFleet(plan).length;
    assert.deepEqual(notes, []);
    assert.equal(signed.length, plan.certificates);
    assert.equal(inventory.length, total);
    assert.equal(authority.crls[0].entries.length, plan.revoked);
    assert.equal(next, authority.next);
  }
});
