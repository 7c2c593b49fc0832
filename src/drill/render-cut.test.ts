import assert from "node:assert/strict";
import { test } from "node:test";
import { CUT_TABLE, renderCut } from "./render-cut.ts";

test("renderCut drops both directions of each interface", () => {
  const text = renderCut(["eth0", "bond0.12"]);
  assert.match(text, new RegExp(`^table netdev ${CUT_TABLE} `));
  for (const device of ["eth0", "bond0.12"]) {
    for (const hook of ["ingress", "egress"]) {
      const chain = `type filter hook ${hook} device "${device}" priority -500; policy drop;`;
      assert.ok(text.includes(chain), chain);
    }
  }
});

test("renderCut refuses an interface that it couldn't name", () => {
  for (const devices of [[], ['e"; }'], ["a".repeat(16)], ["eth0\n"], Array(65).fill("e")]) {
    assert.throws(() => renderCut(devices as string[]), { code: "drill.refused" });
  }
});
