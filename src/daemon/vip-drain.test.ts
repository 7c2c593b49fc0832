import assert from "node:assert/strict";
import { test } from "node:test";
import { createOffers } from "./vip-drain.ts";

const SECOND = 1000;
const held = { drained: true, holds: true };
const away = { drained: true, holds: false };

test("createOffers: addresses that come back at once were taken by nobody, and stay for a while", () => {
  const offers = createOffers();
  assert.equal(offers.see(held, 0), false);
  offers.gaveUp(SECOND);
  assert.equal(offers.see(away, 2 * SECOND), false);
  assert.equal(offers.see(held, 5 * SECOND), true);
  assert.equal(offers.see(held, 64 * SECOND), true);
  assert.equal(offers.see(held, 66 * SECOND), false, "offered again");
  offers.gaveUp(66 * SECOND);
  assert.equal(offers.see(held, 70 * SECOND), true);
  assert.equal(offers.see(held, 600 * SECOND), true, "for longer");
  assert.equal(offers.see(held, 671 * SECOND), false);
});

test("createOffers: addresses that come back later were another's meanwhile", () => {
  const offers = createOffers();
  offers.gaveUp(0);
  assert.equal(offers.see(held, 40 * SECOND), false);
});

test("createOffers forgets with the end of the drain", () => {
  const offers = createOffers();
  offers.gaveUp(0);
  assert.equal(offers.see(held, SECOND), true);
  assert.equal(offers.see({ drained: false, holds: true }, 2 * SECOND), false);
  assert.equal(offers.see(held, 3 * SECOND), false);
});
