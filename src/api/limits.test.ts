import assert from "node:assert/strict";
import { test } from "node:test";
import { createRateLimiter, plainAddress, sourceOf } from "./limits.ts";

test("createRateLimiter grants a burst, then as many as time brings back, to each key apart", () => {
  const limiter = createRateLimiter({ burst: 3, perS: 2, keysMax: 10 });
  const take = (key: string, nowMs: number) => limiter.take(key, nowMs);
  assert.deepEqual(
    [take("a", 0), take("a", 0), take("a", 0), take("a", 0)],
    [true, true, true, false],
  );
  assert.ok(take("b", 0));
  assert.deepEqual([take("a", 499), take("a", 500), take("a", 501)], [false, true, false]);
  const later = [1, 2, 3, 4].map(() => take("a", 60_000));
  assert.deepEqual(later, [true, true, true, false]);
});

test("createRateLimiter that is asked all the time still fills up", () => {
  const limiter = createRateLimiter({ burst: 1, perS: 1, keysMax: 10 });
  let granted = 0;
  for (let ms = 0; ms < 10_000; ms += 10) granted += limiter.take("a", ms) ? 1 : 0;
  assert.ok(granted >= 9 && granted <= 11, String(granted));
});

test("createRateLimiter forgets who came longest ago, and never has more than its bound", () => {
  const limiter = createRateLimiter({ burst: 1, perS: 0.001, keysMax: 100 });
  for (let index = 0; index < 10_000; index += 1) limiter.take(`k${index}`, 0);
  assert.equal(limiter.size(), 100);
  assert.equal(limiter.take("k9999", 0), false);
  assert.equal(limiter.take("k0", 0), true);
});

test("plainAddress and sourceOf: IPv4 in any spelling is itself, IPv6 counts by its network", () => {
  for (const [address, plain, source] of [
    ["10.0.0.5", "10.0.0.5", "10.0.0.5"],
    ["::ffff:10.0.0.5", "10.0.0.5", "10.0.0.5"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8::7", "2001:db8::7", "2001:db8:0:0::/64"],
    ["::1", "::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80::1%eth0", "fe80:0:0:0::/64"],
    [undefined, "unknown", "unknown"],
  ] as const) {
    assert.equal(plainAddress(address), plain);
    assert.equal(sourceOf(plain), source, plain);
  }
});
