import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import {
  asNumber,
  decodeError,
  decodePage,
  decodeTxn,
  decodeWatch,
  encode,
  encodeTxn,
  keyAfter,
  onlyReads,
  prefixRange,
} from "./wire.ts";

const bytes = (base64: string) => Buffer.from(base64, "base64");

test("prefixRange spans every key with the prefix and no other", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 6 });
  fc.assert(
    fc.property(text, text, (prefix, other) => {
      const { key, range_end } = prefixRange(prefix);
      const everything = range_end === "AA==";
      const inside = (name: string) => {
        const at = Buffer.from(name, "utf8");
        return bytes(key).compare(at) <= 0 && (everything || at.compare(bytes(range_end)) < 0);
      };
      if (prefix !== "") assert.ok(inside(prefix + other));
      if (prefix !== "") assert.equal(inside(other), other.startsWith(prefix));
    }),
  );
});

test("keyAfter leaves no room for another key", () => {
  assert.deepEqual(bytes(keyAfter(encode("a"))), Buffer.from("a\0"));
});

test("encodeTxn writes what etcd's gateway expects", () => {
  const txn = encodeTxn({
    when: [
      { key: "k", is: "absent" },
      { key: "k", is: "present" },
      { key: "k", modRevision: 7 },
      { key: "k", createRevision: 5 },
      { key: "k", value: "v" },
    ],
    then: [{ put: "k", value: "ü", lease: "12" }, { delete: "k" }, { deletePrefix: "k" }],
    otherwise: [{ get: "k" }, { range: "k" }],
  });
  const key = "aw==";
  assert.deepEqual(txn, {
    compare: [
      { key, result: "EQUAL", target: "CREATE", create_revision: "0" },
      { key, result: "GREATER", target: "CREATE", create_revision: "0" },
      { key, result: "EQUAL", target: "MOD", mod_revision: "7" },
      { key, result: "EQUAL", target: "CREATE", create_revision: "5" },
      { key, result: "EQUAL", target: "VALUE", value: "dg==" },
    ],
    success: [
      { request_put: { key, value: "w7w=", lease: "12" } },
      { request_delete_range: { key } },
      { request_delete_range: { key, range_end: "bA==" } },
    ],
    failure: [{ request_range: { key } }, { request_range: { key, range_end: "bA==" } }],
  });
});

test("onlyReads looks at both branches", () => {
  assert.equal(onlyReads({ when: [], then: [{ get: "a" }] }), true);
  assert.equal(onlyReads({ when: [], then: [{ get: "a" }], otherwise: [{ delete: "a" }] }), false);
});

test("decodeWatch tells events, progress and loss apart", () => {
  const header = { revision: "9" };
  const kv = { key: encode("k"), value: encode("v"), mod_revision: "9", version: "2" };
  const cases: [unknown, object][] = [
    [{ result: { header, created: true } }, { say: "created", revision: 9 }],
    [{ result: { header } }, { say: "progress", revision: 9 }],
    [
      {
        result: {
          header,
          events: [{ kv }, { type: "DELETE", kv: { key: encode("k"), mod_revision: "9" } }],
        },
      },
      {
        say: "events",
        revision: 9,
        events: [
          {
            type: "put",
            kv: {
              key: "k",
              value: "v",
              createRevision: 0,
              modRevision: 9,
              version: 2,
              lease: "0",
            },
          },
          {
            type: "delete",
            kv: {
              key: "k",
              value: "",
              createRevision: 0,
              modRevision: 9,
              version: 0,
              lease: "0",
            },
          },
        ],
      },
    ],
    [
      { result: { header, canceled: true, compact_revision: "5" } },
      { say: "lost", why: "history before revision 5 was compacted", compacted: true },
    ],
    [
      { error: { grpc_code: 14, message: "etcdserver: no leader" } },
      { say: "lost", why: "etcdserver: no leader", compacted: false },
    ],
  ];
  for (const [line, expected] of cases) assert.deepEqual(decodeWatch(line), expected);
});

test("decodeError reads unary errors, streamed ones and nonsense", () => {
  const unary = { error: "etcdserver: no leader", message: "etcdserver: no leader", code: 14 };
  assert.deepEqual(decodeError(unary), { code: 14, message: "etcdserver: no leader" });
  const streamed = { error: { grpc_code: 11, message: "compacted" } };
  assert.deepEqual(decodeError(streamed), { code: 11, message: "compacted" });
  assert.deepEqual(decodeError({ error: "x" }), { code: 2, message: "x" });
  assert.equal(decodeError("nonsense").code, 2);
});

test("answers that are not etcd's are Fault etcd.garbled, whatever they are", () => {
  for (const decode of [decodePage, decodeTxn, decodeWatch]) {
    for (const answer of [undefined, null, 1, "text", [], {}, { header: 3 }]) {
      assert.throws(
        () => decode(answer),
        (error) => isFault(error, "etcd.garbled"),
      );
    }
  }
  assert.throws(
    () => asNumber("9007199254740993"),
    (error) => isFault(error, "etcd.garbled"),
  );
});

test("no JSON makes a decoder throw anything but a Fault", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      for (const decode of [decodePage, decodeTxn, decodeWatch, decodeError]) {
        try {
          decode(value);
        } catch (error) {
          assert.ok(isFault(error, "etcd.garbled"), String(error));
        }
      }
    }),
  );
});
