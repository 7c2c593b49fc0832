import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, NOW_MS } from "../cluster/testing/status.ts";
import type { Member } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import type { CourierConfig } from "../courier/config.ts";
import { desiredCourier } from "./courier-desired.ts";

function member(id: string, more: Partial<Member> = {}): Member {
  return answer(id, undefined, { courier: true, ...more }).member;
}

function viewOf(members: Member[]): View {
  const reportReceivers = [{ name: "board", url: "https://board.test/reports" }];
  const puppetdb = { puppetdbClients: ["board.test"], puppetdbUse: USE, puppetdbNodeTtlS: 60 };
  const settings = { ...puppetdb, reportReceivers };
  return { members, settings, work: { drains: [] } } as unknown as View;
}

const USE = { id: "s1", at: "2026-11-20T11:00:00.000Z" };
const VIEW = viewOf([
  member("s2", { puppetdb: "fills", joinedAt: "2026-11-20T09:00:00Z" }),
  member("s1", { puppetdb: "answers", puppetdbAccepted: "2026-11-20T10:00:00.000Z" }),
  member("c1", { role: "compiler", courier: false }),
  member("w1", { role: "witness", courier: false }),
  member("s3"),
]);

function told(id: string, view = VIEW): CourierConfig {
  return JSON.parse(desiredCourier(view, id, NOW_MS) ?? "null") as CourierConfig;
}

test("desiredCourier tells every courier the same order, and who may come", () => {
  for (const id of ["s1", "s2", "s3"]) {
    const config = told(id);
    assert.deepEqual(config.puppetdbs, ["s2", "s1"], id);
    assert.deepEqual(config.filling, ["s2"]);
    assert.deepEqual(config.receivers, [{ name: "board", url: "https://board.test/reports" }]);
    assert.deepEqual([config.use, config.nodeTtlS], [USE, 60]);
    assert.deepEqual(config.accepted, { s1: "2026-11-20T10:00:00.000Z" });
    assert.deepEqual(config.allow, ["board.test", "c1", "s1", "s2", "s3"]);
  }
  assert.deepEqual(
    told("s3").couriers.map((each) => [each.id, each.hostname, each.port]),
    [
      ["s1", "authority.s1.understudy", 8143],
      ["s2", "authority.s2.understudy", 8143],
    ],
  );
  assert.equal(told("s1").localPuppetdb, "http://127.0.0.1:8080");
  assert.equal(told("s3").localPuppetdb, undefined);
});

test("desiredCourier is nothing where none is to run", () => {
  assert.equal(desiredCourier(VIEW, "c1", NOW_MS), undefined);
  assert.equal(desiredCourier(VIEW, "gone", NOW_MS), undefined);
});

test("desiredCourier has queries avoid a drained server's PuppetDB for as long as that is so", () => {
  const drain = {
    id: "s1",
    by: "ops",
    at: "",
    reason: "",
    until: new Date(NOW_MS + 1).toISOString(),
  };
  const view = { ...VIEW, work: { drains: [drain, { ...drain, id: "s3" }] } };
  const avoid = (nowMs: number) =>
    (JSON.parse(desiredCourier(view, "s2", nowMs) ?? "null") as CourierConfig).avoid;
  assert.deepEqual(avoid(NOW_MS), ["s1"], "s3 has none");
  assert.deepEqual(avoid(NOW_MS + 1), []);
});
