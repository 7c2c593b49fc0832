// Somebody who guesses, as fast as connections are to be had.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestPeople } from "./testing/people.ts";

test("10,000 wrong tokens: few are heard, the rest has to knock again; a right one gets in all the while", async () => {
  const people = await startTestPeople();
  const { ask, lines, addToken } = people;
  const agent = people.from("127.0.0.2");
  const counts: Record<string, number> = {};
  const right = Array.from({ length: 50 }, (_, index) => addToken(`right${index}`, "viewer"));
  for (let round = 0; round < 50; round += 1) {
    const wrong = Array.from({ length: 200 }, async (_, index) => {
      const secret = String(round * 200 + index).padStart(43, "x");
      const said = await ask("GET", "/v1/local", {
        token: `UA1.0123456789ab.${secret}`,
        agent,
      }).then(
        ({ status }) => String(status),
        () => "ended",
      );
      counts[said] = (counts[said] ?? 0) + 1;
    });
    const good = await ask("GET", "/v1/local", { token: right[round] ?? "" });
    assert.equal(good.status, 200);
    await Promise.all(wrong);
  }
  await people.close();
  assert.equal(counts["401"], 10);
  assert.equal(counts["200"], undefined);
  assert.equal((counts["429"] ?? 0) + (counts["ended"] ?? 0), 9990);
  assert.equal(lines.length, 10, "one line for each that was heard");
});
