import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, edge, judge, local, silent } from "../cluster/testing/status.ts";
import { judgeShown, renderShown } from "./ca-reissue.ts";

const END = "2041-11-20T12:00:00.000Z";
const shows = (id: string, ...names: string[]) =>
  answer(id, local(id, { edge: edge({ certificate: { names, endsAt: END } }) }));

void test("judgeShown tells what each server's edge lacks, and that a silent one isn't known", () => {
  const status = judge([shows("s1", "p.test", "new.test"), shows("s2", "p.test"), silent("s3")]);
  const shown = judgeShown(status, ["new.test"]);
  assert.deepEqual(
    shown.map(({ server, lacks }) => [server, lacks]),
    [
      ["s1", []],
      ["s2", ["new.test"]],
      ["s3", ["new.test"]],
    ],
  );
  const text = renderShown(["p.test", "new.test"], shown);
  assert.match(text, /^Names: p\.test, new\.test$/m);
  assert.match(text, /^s1 +2041-11-20T12:00:00\.000Z +shows all$/m);
  assert.match(text, /^s2 .* lacks new\.test$/m);
  assert.match(text, /^s3 +unknown +no answer in time$/m);
});
