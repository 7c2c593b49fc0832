import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { expiryWarnings } from "../cluster/expiry.ts";
import { startFleet, type Fleet } from "./testing/fleet.ts";

const DAY_MS = 86_400_000;

let fleet: Fleet;
before(async () => {
  fleet = await startFleet();
});
after(() => fleet.close());

test("the authority's state tells when its chain and all its lists end, and which it renews itself", async () => {
  const one = await fleet.server("s1");
  const { expiries, nextExpiry } = one.ca.state();
  assert.deepEqual(
    expiries.map(({ kind, what }) => [kind, what.replace(/[0-9a-f]{14}$/, "…")]),
    [
      ["puppet-ca", "CN=Puppet CA: s1.lab.test"],
      ["puppet-ca", "CN=Puppet Root CA: …"],
      ["puppet-crl", "CN=Puppet CA: s1.lab.test"],
      ["parent-crl", "CN=Puppet Root CA: …"],
    ],
  );
  assert.ok(nextExpiry !== undefined);
  const [, , list] = expiries;
  const thisUpdateMs = one.ca.currentCrl()?.thisUpdateMs ?? 0;
  assert.equal(Date.parse(list?.due ?? "") - thisUpdateMs, 30 * DAY_MS);
  const members = [{ id: "s1", expiries }];
  assert.deepEqual(expiryWarnings(members, thisUpdateMs), []);
  // Forty days on nobody has signed a new list.
  const [overdue, ...others] = expiryWarnings(members, thisUpdateMs + 40 * DAY_MS);
  assert.match(overdue?.text ?? "", /^The CRL of the Puppet CA .* should have been renewed/);
  assert.deepEqual(others, []);
});
