import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { findMember } from "./find-member.ts";

const IDS = ["s1.lab.test", "s2", "s2.lab.test", "s3.a.test", "s3.b.test"];

test("findMember takes a whole name, or a beginning that only one has", () => {
  assert.equal(findMember(IDS, "s1"), "s1.lab.test");
  assert.equal(findMember(IDS, "s2"), "s2");
  assert.equal(findMember(IDS, "s3.a"), "s3.a.test");
});

test("findMember refuses what is nobody's, and what is several's", () => {
  for (const name of ["s", "", "s4", ".", "s1.lab.test."]) {
    assert.throws(
      () => findMember(IDS, name),
      (error) => isFault(error, "member.not-found"),
      name,
    );
  }
  assert.throws(
    () => findMember(IDS, "s3"),
    (error) => isFault(error, "member.ambiguous"),
  );
});
