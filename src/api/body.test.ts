import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { isFault } from "../base/fault.ts";
import { readBody } from "./body.ts";

const Names = z.object({ names: z.array(z.string()) });
const sent = (body: string) => new Request("http://local/", { method: "POST", body });

test("readBody gives what the schema has, and nothing besides", async () => {
  assert.deepEqual(await readBody(Names, sent('{"names":["a"],"more":1}')), { names: ["a"] });
});

test("readBody refuses garbage, an empty body and another shape as api.malformed", async () => {
  for (const body of ["", "garbage\0", "{", "[]", "null", '{"names":"a"}']) {
    await assert.rejects(readBody(Names, sent(body)), (error) => isFault(error, "api.malformed"));
  }
});
