import assert from "node:assert/strict";
import { test } from "node:test";
import type { CourierConfig } from "./config.ts";
import { placeOf } from "./doors.ts";

const CONFIG = {
  listen: { address: "127.0.0.1", port: 1 },
  peerListen: { address: "127.0.0.1", port: 2 },
} as CourierConfig;

test("placeOf takes systemd's descriptors where all three are handed to this very process", () => {
  const pid = String(process.pid);
  const given = { LISTEN_FDS: "3", LISTEN_PID: pid };
  assert.deepEqual(placeOf("client", CONFIG, given), { fd: 3 });
  assert.deepEqual(placeOf("status", CONFIG, given), { fd: 5 });
  assert.deepEqual(placeOf("peer", CONFIG, { ...given, LISTEN_PID: "1" }), {
    host: "127.0.0.1",
    port: 2,
  });
  assert.equal(placeOf("status", CONFIG, {}), undefined);
  const statusSocket = "/run/x.sock";
  assert.deepEqual(placeOf("status", { ...CONFIG, statusSocket }, {}), { path: statusSocket });
});
