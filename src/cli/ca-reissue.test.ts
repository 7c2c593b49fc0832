import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../base/fault.ts";
import { answer, edge, judge, local, silent } from "../cluster/testing/status.ts";
import { judgeShown, renderShown, untilShown } from "./ca-reissue.ts";

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

void test("untilShown takes a status that doesn't come for nothing that failed", async () => {
  const late = async () => Promise.reject(new Fault("cli.no-daemon", "no answer"));
  assert.deepEqual(await untilShown(["new.test"], late, 1), []);
  assert.match(renderShown(["new.test"], []), /^Signed here; what the edges show can't be told/m);
  let asked = 0;
  const once = async () => {
    asked += 1;
    return asked === 1 ? late() : judge([shows("s1", "new.test")]);
  };
  assert.deepEqual(
    (await untilShown(["new.test"], once)).map(({ server, lacks }) => [server, lacks]),
    [["s1", []]],
  );
  assert.deepEqual(await untilShown([], late, 60_000), []);
});
