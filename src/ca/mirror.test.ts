import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Mirror, type Change } from "./mirror.ts";
import {
  CA_PREFIX,
  certKey,
  crlKey,
  encodeValue,
  nameKey,
  requestKey,
  revokedKey,
  type RevokedValue,
} from "./record.ts";
import { serialOf } from "./serial.ts";

const AT = "2026-11-20T10:00:00.000Z";

function put(key: string, value: object, modRevision: number): Change {
  return { key, value: encodeValue(value), modRevision };
}

function cert(serial: number, certname: string, modRevision: number): Change {
  const value = { certname, der: "AAAA", notBefore: AT, notAfter: AT, signedBy: "s1", at: AT };
  return put(certKey(serialOf(serial)), value, modRevision);
}

function revoked(serial: number, number: number, modRevision: number): Change {
  const value: RevokedValue = { number, at: AT, reason: 1, certname: null };
  return put(revokedKey(serialOf(serial)), value, modRevision);
}

/** All that a mirror holds, as text. */
function contentOf(mirror: Mirror): string {
  const keys = [...mirror.keys()].sort();
  return keys.map((key) => `${key} ${mirror.revisionOf(key)}`).join("\n");
}

void test("Mirror ends the same in whatever order and however often changes come in", () => {
  const history = fc.array(
    fc.record({ name: fc.constantFrom("a", "b", "c"), gone: fc.boolean() }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.nat(1000)), (steps, order) => {
      const changes = steps.map(({ name, gone }, index): Change => {
        const revision = index + 1;
        if (gone) return { key: requestKey(name), value: null, modRevision: revision };
        return put(requestKey(name), { id: "x", pem: String(revision), at: AT }, revision);
      });
      const inOrder = new Mirror();
      inOrder.apply(changes, changes.length);
      const mixed = new Mirror();
      const shuffled = [...changes, ...changes]
        .map((change) => ({ change, rank: order.next().value ?? 0 }))
        .sort((a, b) => a.rank - b.rank);
      for (const { change } of shuffled) mixed.apply([change]);
      mixed.apply([], changes.length);
      assert.equal(contentOf(mixed), contentOf(inOrder));
      for (const name of ["a", "b", "c"]) {
        assert.equal(mixed.tables.requests.get(name)?.pem, inOrder.tables.requests.get(name)?.pem);
      }
    }),
  );
});

void test("Mirror.replace forgets what is gone, but not what a commit brought since", () => {
  const mirror = new Mirror();
  mirror.apply([cert(1, "a", 5), put(nameKey("a"), { serial: serialOf(1) }, 5)], 5);
  mirror.applyOwn([cert(2, "b", 12), put(nameKey("b"), { serial: serialOf(2) }, 12)]);
  const touched = mirror.replace([cert(1, "a", 5)], 10);
  assert.deepEqual([...touched.names], ["a"]);
  assert.deepEqual([...mirror.tables.names.names()], ["b"]);
  assert.equal(mirror.revision, 10);
});

void test("Mirror.replacing forgets nothing before its end, nor what came since it began", () => {
  const mirror = new Mirror();
  mirror.apply([cert(1, "a", 5), cert(2, "b", 5), cert(3, "c", 5)], 5);
  const replacing = mirror.replacing();
  replacing.take([cert(1, "a", 5)]);
  mirror.applyOwn([cert(4, "d", 12)]);
  replacing.take([cert(2, "b", 7)]);
  assert.equal(mirror.tables.certs.size, 4);
  const touched = replacing.end(10);
  assert.deepEqual(
    [...mirror.tables.certs.names()].sort(),
    [1, 2, 4].map((n) => serialOf(n)),
  );
  assert.deepEqual(
    [...touched.certs].sort(),
    [2, 3].map((n) => serialOf(n)),
  );
  assert.equal(mirror.revision, 10);
});

void test("Mirror.applyOwn tells what a commit touched even when the watch was quicker", () => {
  const mirror = new Mirror();
  const changes = [cert(1, "a", 5), { key: requestKey("a"), value: null, modRevision: 5 }];
  mirror.apply(changes, 5);
  const touched = mirror.applyOwn(changes);
  assert.deepEqual([...touched.certs], [serialOf(1)]);
  assert.deepEqual([...touched.requests], ["a"]);
});

void test("Mirror keeps what it had of a key that can't be understood, and names the key", () => {
  const mirror = new Mirror();
  mirror.apply([put(requestKey("a"), { id: "x", pem: "p", at: AT }, 1)], 1);
  for (const value of ["no json", "{}", "[]", '{"id":"x","pem":1,"at":"never"}']) {
    mirror.apply([{ key: requestKey("a"), value, modRevision: 2 }], 2);
    assert.equal(mirror.tables.requests.get("a")?.pem, "p");
    assert.deepEqual([...mirror.unreadable.keys()], [requestKey("a")]);
  }
  mirror.apply([put(requestKey("a"), { id: "x", pem: "q", at: AT, later: true }, 3)], 3);
  assert.equal(mirror.tables.requests.get("a")?.pem, "q");
  assert.equal(mirror.unreadable.size, 0);
  // Keys of versions to come, and others', are none of ours.
  mirror.apply([put(`${CA_PREFIX}later/x`, {}, 4), put("elsewhere", {}, 4)], 4);
  assert.equal(mirror.unreadable.size, 0);
});

void test("Mirror.revocations are in the order of a CRL's entries", () => {
  const mirror = new Mirror();
  mirror.apply([revoked(9, 2, 1), revoked(3, 2, 1), revoked(7, 1, 2), revoked(0x123456789, 1, 2)]);
  assert.deepEqual(
    mirror.revocations().map(({ serial }) => serial),
    ["00000007", "123456789", "00000003", "00000009"],
  );
  assert.equal(crlKey(12), "understudy/ca/crl/0000000012");
});

void test("Mirror doesn't bring back what was deleted by an answer from before that comes late", () => {
  const mirror = new Mirror();
  const request = put(requestKey("a.test"), { id: "x", pem: "1", at: AT }, 70);
  mirror.apply([request], 70);
  mirror.apply([{ key: request.key, value: null, modRevision: 72 }], 72);
  mirror.apply([], 75);
  mirror.apply([request]);
  assert.ok(!mirror.tables.requests.has("a.test"));
  mirror.apply([{ ...request, modRevision: 76 }], 76);
  assert.ok(mirror.tables.requests.has("a.test"), "a new one comes in");
});
