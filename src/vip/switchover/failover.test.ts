import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeFailover } from "./failover.ts";
import type { ServerFacts } from "./judge.ts";

const VIP = "10.0.0.10";

function server(number: number, held = false, unfit = ""): ServerFacts {
  const addresses = [{ address: VIP, held, own: `10.0.0.${number}` }];
  return {
    id: `s${number}.test`,
    unfit: "",
    look: { addresses, unfit, problems: [], windows: [] },
  };
}
const silent: ServerFacts = { id: "s1.test", unfit: "", because: "no answer in time" };

test("judgeFailover gives the address of a silent holder to a fit server, and says what breaks", () => {
  const judged = judgeFailover({ address: VIP }, [VIP], [silent, server(2), server(3)]);
  assert.deepEqual([judged.to, judged.refused], ["s2.test", ""]);
  const text = judged.lines.join("\n");
  assert.match(text, /s1.test can't be asked: no answer in time/);
  assert.match(text, /goes to s2.test.*\n.*break/);
  assert.equal(
    judgeFailover({ address: VIP, to: "s3" }, [VIP], [silent, server(2), server(3)]).to,
    "s3.test",
  );
});

test("judgeFailover takes it from a holder that answers only when its keepalived is dead", () => {
  const dead = server(1, true, "its keepalived doesn't run");
  assert.equal(judgeFailover({ address: VIP }, [VIP], [dead, server(2)]).to, "s2.test");
  const { refused } = judgeFailover({ address: VIP }, [VIP], [server(1, true), server(2)]);
  assert.match(refused, /s1.test holds .* understudy switchover 10.0.0.10/);
});

const REFUSED: [string, { address: string; to?: string }, ServerFacts[], RegExp][] = [
  [
    "an address of somebody else",
    { address: "10.0.0.9" },
    [server(2)],
    /10.0.0.9 is no virtual IP/,
  ],
  ["an unknown server", { address: VIP, to: "s9" }, [silent, server(2)], /s9 is no server/],
  [
    "a server that can't be asked",
    { address: VIP, to: "s1" },
    [silent, server(2)],
    /s1.test: its daemon can't be asked/,
  ],
  [
    "with no fit server",
    { address: VIP },
    [silent, server(2, false, "x")],
    /no server can take it: s1.*; s2.test: x/,
  ],
];
for (const [what, wanted, servers, expected] of REFUSED) {
  test(`judgeFailover refuses ${what}`, () => {
    assert.match(judgeFailover(wanted, [VIP], servers).refused, expected);
  });
}
